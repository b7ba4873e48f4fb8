"""What a graph makes of constants alone is computed before anything asks for constants."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.export.reading import load

PARAMETERS = {
    "w": (4, 3, 3, 3),
    "a": (4,),
    "q": np.array([0.5, 1.0, 2.0, 4.0], np.float32),
    "v": (4, 5),
    "four": [4],
}
NET = (
    "c = Conv(x, w) n = BatchNormalization(c, {}, a, a, q) p = GlobalAveragePool(n) f = Flatten(p) "
    "y = Gemm(f, v)"
)
WAYS = {
    "cast from half": ("h = Cast<to=1>(g)", "h", {"g": np.array([1, 2, 3, 4], np.float16)}),
    "made of a shape": ("h = ConstantOfShape<value=float[1] {1.5}>(four)", "h", {}),
    "copied": ("i = Identity(q) h = Identity(i)", "h", {}),
    "expanded": ("h = Expand(g, four)", "h", {"g": np.array([1.5], np.float32)}),
    "reshaped and squared": ("i = Reshape(g, four) h = Mul(i, i)", "h", {"g": (2, 2)}),
}


@pytest.mark.parametrize("name", WAYS)
def test_parameters_of_a_normalisation(tmp_path: Path, name: str) -> None:
    before, gamma, constants = WAYS[name]
    model = gradcheck.parse(f"{before} {NET.format(gamma)}", "batch,3,6,6", **{**PARAMETERS, **constants})
    exported = small.export(model, tmp_path)
    assert exported.verification.error < 1e-4
    assert "BatchNormalization" not in {n.op_type for n in onnx.load(exported.path).graph.node}


def test_weights_that_are_standardised_by_a_normalisation(tmp_path: Path) -> None:
    """In training mode, and yet a constant: nothing of the model's input goes through it."""
    text = """r = Reshape(w, flat)
        s, m1, m2 = BatchNormalization<training_mode=1>(r, ones, zeros, zeros, ones)
        k = Reshape(s, back) c = Conv(x, k) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm(f, v)"""
    constants = {"flat": [1, 4, -1], "back": [4, 3, 3, 3], "ones": np.ones(4, np.float32)}
    model = gradcheck.parse(
        text, "batch,3,6,6", w=(4, 3, 3, 3), v=(4, 5), zeros=np.zeros(4, np.float32), **constants
    )
    exported = small.export(model, tmp_path)
    x = small.images(3, 3, 6, 6)
    np.testing.assert_allclose(small.run(exported.path, x, 0)["y"], small.run(model, x)["y"], rtol=1e-4)


def test_a_large_constant_is_not_made(tmp_path: Path) -> None:
    text = "l = ConstantOfShape<value=float[1] {1}>(size) s = ReduceSum<keepdims=0>(l) y = Mul(x, s)"
    model = load.prepare(gradcheck.parse(text, "batch,3", size=[10**6, 10**6]))
    assert [n.op_type for n in model.graph] == ["ConstantOfShape", "ReduceSum", "Mul"]


def branching(condition: str = "") -> onnx.ModelProto:
    """z = x v goes on through an If: unchanged where c is true, negated elsewhere."""
    then = onnx.parser.parse_graph("t () => (float[batch,5] t) { t = Identity(z) }")
    other = onnx.parser.parse_graph("e () => (float[batch,5] e) { e = Neg(z) }")
    further = {"zero": 0.0} if condition else {}
    model = gradcheck.parse(f"z = MatMul(x, v) y = Tanh(z) {condition}", "batch,6", v=(6, 5), **further)
    node = onnx.helper.make_node("If", ["c"], ["chosen"], then_branch=then, else_branch=other)
    model.graph.node.append(node)
    model.graph.node.append(onnx.helper.make_node("Mul", ["chosen", "y"], ["out"]))
    model.graph.output[0].name = "out"
    return model


@pytest.mark.parametrize("truth", [True, False])
def test_a_constant_condition_chooses_its_branch(tmp_path: Path, truth: bool) -> None:
    model = branching()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(truth), "c"))
    exported = small.export(model, tmp_path)
    assert "If" not in {n.op_type for n in onnx.load(exported.path).graph.node}
    x = small.images(3, 6)
    z = x @ onnx.numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_allclose(
        small.run(exported.path, x, 0)["out"], (z if truth else -z) * np.tanh(z), rtol=1e-5, atol=1e-6
    )


def test_a_branch_that_returns_an_outer_value(tmp_path: Path) -> None:
    """Chosen at run time, beside the way from the input to the scores."""
    model = branching("k = ReduceMax<keepdims=0>(x) c = Greater(k, zero)")
    model.graph.output[0].name = "y"
    model.graph.output.append(onnx.helper.make_tensor_value_info("chosen", 1, ["batch", 5]))
    exported = small.export(model, tmp_path, output="y")
    x = small.images(3, 6)
    out = small.run(exported.path, x, 0)
    np.testing.assert_allclose(np.tanh(out["chosen"]), out["y"], rtol=1e-5, atol=1e-6)
