"""Widening a model to float64: nothing in it may round to less."""

from __future__ import annotations

import gradcheck
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from fluxpath.export.verification.double import in_float64, to_float64

FINE = np.array([[1 + 1e-12, -2 - 1e-12]])
"""Indistinguishable from whole numbers in float32."""


def run(model: onnx.ModelProto) -> np.ndarray:
    (y,) = ReferenceEvaluator(to_float64(ir.from_proto(model))).run(None, {"x": FINE})
    return np.asarray(y)


@pytest.mark.parametrize(
    ("text", "constants"),
    [
        ("y = Identity(x)", {}),
        ("y = Mul(x, one)", {"one": 1.0}),
        ("h = Cast<to=10>(x) y = Cast<to=1>(h)", {}),
        ("h = Cast<to=16>(x) y = Cast<to=1>(h)", {}),
        ("h = Cast<to=11>(x) y = Cast<to=1>(h)", {}),
        ("e = EyeLike<dtype=1>(i) y = MatMul(x, e)", {"i": np.zeros((2, 2), np.int64)}),
        ("s = Shape(x) z = ConstantOfShape(s) y = Add(x, z)", {}),
        ("s = Shape(x) o = ConstantOfShape<value = float[1] {1.0}>(s) y = Mul(x, o)", {}),
        ("c = Constant<value = float[1] {1.0}>() y = Mul(x, c)", {}),
        ("c = Constant<value_float = 1.0>() y = Mul(x, c)", {}),
        ("c = Constant<value_floats = [1.0, 1.0]>() y = Mul(x, c)", {}),
        ("z = Cast<to=1>(i) y = Add(x, z)", {"i": [0]}),
    ],
)
def test_no_digit_is_lost(text: str, constants: dict) -> None:
    y = run(gradcheck.parse(text, "batch,2", **constants))
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, FINE)


def test_weights_keep_the_values_they_have() -> None:
    """Widened, not read again: 0.1 in float32 stays what it is."""
    y = run(gradcheck.parse("z = Mul(x, zero) y = Add(z, tenth)", "batch,2", zero=0.0, tenth=0.1))
    np.testing.assert_array_equal(y, np.full((1, 2), np.float64(np.float32(0.1))))


def test_integers_and_booleans_stay() -> None:
    text = "k = Greater(x, zero) i = Cast<to=7>(k) f = Cast<to=1>(i) y = Mul(x, f)"
    np.testing.assert_array_equal(run(gradcheck.parse(text, "batch,2", zero=0.0)), FINE * [[1, 0]])


@pytest.mark.parametrize(
    "text",
    [
        "a = Mul(x, x) b = Add(a, x) c = Relu(a) y = Sub(b, c)",
        "a = Neg(x) b, c = Split<axis=1, num_outputs=2>(a) d = Concat<axis=1>(c, b) y = Mul(d, a)",
        "t = Greater(total, zero) a = Neg(x) y = If (t) <then_branch = g () => (float[batch,2] u) "
        "{ u = Add(a, x) }, else_branch = h () => (float[batch,2] w) { w = Identity(x) }>",
    ],
)
def test_values_that_are_let_go_early_change_nothing(text: str) -> None:
    constants = {"total": np.float32(1), "zero": np.float32(0)} if "If" in text else {}
    model = gradcheck.parse(text, "batch,2", **constants)
    given = in_float64(ir.from_proto(model))({"x": FINE})
    assert given.keys() == {"y"}
    np.testing.assert_array_equal(given["y"], run(model))
