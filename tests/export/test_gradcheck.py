"""The checker itself: rules that are wrong in various ways must not pass it."""

from __future__ import annotations

from collections.abc import Callable

import gradcheck
import onnx_ir as ir
import pytest

from fluxpath.export.builder import Builder
from fluxpath.export.rules import _registry
from fluxpath.export.rules.convolution import Window, kernel_of, transposed_convolution, window

Rule = Callable[[Builder, ir.Node, ir.Value], _registry.Gradients]

MATMUL = ("y = MatMul(x, w)", (3, 4), {"w": (4, 4)})
CONV = ("y = Conv<pads=[1, 1, 1, 1]>(x, w)", (2, 3, 6, 6), {"w": (4, 3, 3, 3)})
TANH = ("y = Tanh(x)", (2, 3), {})


def slightly_off(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    y = node.outputs[0]
    slope = op("Sub", op.scalar(1.0, y), op("Mul", y, y))
    return op("Mul", op("Mul", g, op.scalar(1.01, g)), slope)


def not_transposed(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    return op("MatMul", g, node.inputs[1])


def shifted_pads(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    weight = node.inputs[1]
    assert weight is not None
    right = window(node, kernel_of(weight))
    n = len(right.kernel)
    wrong = Window(right.kernel, right.strides, right.dilations, [0] * n, [2] * n)
    return transposed_convolution(op, g, weight, wrong, 1, node)


def not_mirrored(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    weight = node.inputs[1]
    assert weight is not None
    return op("Conv", g, op("Transpose", weight, perm=[1, 0, 2, 3]), pads=[1, 1, 1, 1])


def wrong_sign(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    y = node.outputs[0]
    return op("Mul", g, op("Sub", op("Mul", y, y), op.scalar(1.0, y)))


def one_too_wide(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    return op("Pad", g, op.ints([0, 0, 0, 1]))


def nothing(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    return op("Mul", g, op.scalar(0.0, g))


def only_right_in_double(op: Builder, node: ir.Node, g: ir.Value) -> _registry.Gradients:
    y = node.outputs[0]
    large = op.scalar(1e6, y)
    lossy = op("Sub", op("Add", op("Mul", y, y), large), large)
    return op("Mul", g, op("Sub", op.scalar(1.0, y), lossy))


@pytest.mark.parametrize(
    ("case", "op_type", "wrong", "message"),
    [
        (TANH, "Tanh", slightly_off, "float64: off by"),
        (TANH, "Tanh", wrong_sign, "float64: off by"),
        (TANH, "Tanh", nothing, "the gradient is zero"),
        (TANH, "Tanh", only_right_in_double, "float32: off by"),
        (MATMUL, "MatMul", not_transposed, "float64: off by"),
        (CONV, "Conv", shifted_pads, "float64: off by"),
        (CONV, "Conv", not_mirrored, "float64: off by"),
    ],
    ids=lambda v: v.__name__ if callable(v) else None,
)
def test_a_wrong_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, case: tuple, op_type: str, wrong: Rule, message: str
) -> None:
    text, shape, constants = case
    gradcheck.check(text, shape, **constants)
    monkeypatch.setitem(_registry._RULES, op_type, [_registry.Rule(op_type, 1, wrong, False, False)])
    with pytest.raises(AssertionError, match=message):
        gradcheck.check(text, shape, **constants)


def test_a_gradient_of_another_shape_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry._RULES, "Tanh", [_registry.Rule("Tanh", 1, one_too_wide, False, False)])
    with pytest.raises(Exception, match=r"[Ss]hape"):
        gradcheck.check("y = Tanh(x)", (2, 3))


def test_a_forgotten_branch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that lets the last gradient of a fan-out win, instead of their sum."""
    monkeypatch.setattr("fluxpath.export.autodiff._sum", lambda op, parts: parts[-1] if parts else None)
    with pytest.raises(AssertionError, match="float64: off by"):
        gradcheck.check("a = Tanh(x) b = Sigmoid(x) y = Add(a, b)", (2, 3))
