"""Activations. At a kink the derivative is PyTorch's."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of
from fluxpath.export.rules._registry import Gradients, rule

HARD: dict[str, Any] = {"alpha": 1 / 6, "beta": 0.5}
"""Of the HardSigmoid that HardSwish multiplies its argument by."""

_STEEP = 2.0**100
"""The slope of a step at a bound that is not zero: a power of two, so that the product is exact."""


def where(op: Builder, condition: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """Where, with the element type of `a` (a builder takes that of the condition)."""
    return op("Where", condition, a, b, dtype=a.dtype)


def compare(op: Builder, op_type: str, a: ir.Value | None, b: ir.Value) -> ir.Value:
    """A comparison; its output is boolean."""
    return op(op_type, a, b, dtype=ir.DataType.BOOL)


def first(node: ir.Node) -> ir.Value:
    """Input 0, which every operator here has."""
    x = node.inputs[0]
    assert x is not None
    return x


def complement(op: Builder, y: ir.Value) -> ir.Value:
    """1 - y of numbers in [0, 1]: a HardSigmoid keeps the blocked layout, a constant does not."""
    if y.dtype != ir.DataType.FLOAT:
        return op("Sub", op.scalar(1.0, y), y)
    return op("HardSigmoid", y, alpha=-1.0, beta=1.0)


@rule("Relu")
def relu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y > 0 exactly where x > 0, and y is kept for the next layer anyway. The step function is written as
    # a steep HardSigmoid, clip(3e38 y, 0, 1): unlike a comparison it stays in the blocked layout that
    # ONNX Runtime gives convolutions, and the mask costs a third. OpenVINO reads a beta of 0 as the
    # default 0.5. Zero times infinity is NaN, so what may be infinite is chosen instead, as all other masks
    # do (5 to 9% of a ResNet's time).
    y = node.outputs[0]
    if y.dtype != ir.DataType.FLOAT or op.unbounded:
        return where(op, compare(op, "Greater", y, op.scalar(0.0, y)), g, op.scalar(0.0, g))
    return op("Mul", g, op("HardSigmoid", y, alpha=3e38, beta=-1e-30))


@rule("LeakyRelu")
def leaky_relu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    alpha = op.scalar(node.attributes.get_float("alpha", 0.01), g)
    return where(op, compare(op, "Greater", x, op.scalar(0.0, x)), g, op("Mul", g, alpha))


@rule("Sigmoid")
def sigmoid(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y = node.outputs[0]
    return op("Mul", g, op("Mul", y, complement(op, y)))


@rule("Tanh")
def tanh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y = node.outputs[0]
    return op("Mul", g, op("Sub", op.scalar(1.0, y), op("Mul", y, y)))


def _inside(op: Builder, x: ir.Value, low: ir.Value | None, high: ir.Value | None, strict: bool) -> ir.Value:
    """low < x < high, or with equality where not strict."""
    suffix = "" if strict else "OrEqual"
    above = compare(op, "Greater" + suffix, x, low) if low is not None else None
    below = compare(op, "Less" + suffix, x, high) if high is not None else None
    if above is not None and below is not None:
        return op("And", above, below)
    inside = above if above is not None else below
    assert inside is not None
    return inside


@rule("HardSigmoid")
def hard_sigmoid(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    alpha = node.attributes.get_float("alpha", 0.2)
    y = node.outputs[0]
    inside = _inside(op, y, op.scalar(0.0, y), op.scalar(1.0, y), strict=True)
    return where(op, inside, op("Mul", g, op.scalar(alpha, g)), op.scalar(0.0, g))


@rule("HardSwish")
def hard_swish(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # x * clip(x/6 + 1/2, 0, 1): 0 up to -3, x/3 + 1/2 between, 1 from 3 on. That is the clip itself and,
    # between, x/6 more, by steps of the argument: as in the rule of Relu they keep the blocked layout, and so
    # does a sixth that is a HardSigmoid's slope, where a constant does not.
    x = first(node)
    if x.dtype != ir.DataType.FLOAT or op.unbounded:
        slope = op("Add", op("Mul", x, op.scalar(1 / 3, x)), op.scalar(0.5, x))
        above = compare(op, "GreaterOrEqual", x, op.scalar(3.0, x))
        below = compare(op, "LessOrEqual", x, op.scalar(-3.0, x))
        return where(op, above, g, where(op, below, op.scalar(0.0, g), op("Mul", g, slope)))
    between = op("Mul", _step(op, x, 1.0, -3.0), _step(op, x, -1.0, 3.0))
    sixth = op("HardSigmoid", between, alpha=1 / 6, beta=-1e-30)
    return op("Mul", g, op("Add", op("HardSigmoid", x, **HARD), op("Mul", x, sixth)))


@rule("Clip")
def clip(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Both bounds constant is how exporters write ReLU6 and hardtanh, whose derivative at a bound is 0;
    # otherwise it is torch.clamp, whose derivative there is 1.
    bounds = [*node.inputs[1:], None, None]
    low, high = bounds[0], bounds[1]
    if low is None and high is None:
        return g
    strict = constant_of(low) is not None and constant_of(high) is not None
    steps = _steps(op, node.outputs[0], low, high) if strict and not op.unbounded else None
    if steps is not None:
        return op("Mul", g, op("Mul", *steps))
    return where(op, _inside(op, first(node), low, high, strict), g, op.scalar(0.0, g))


def _steps(
    op: Builder, y: ir.Value, low: ir.Value | None, high: ir.Value | None
) -> tuple[ir.Value, ir.Value] | None:
    """1 where float32 `y` lies above `low`, and where below `high`, else 0, as the rule of Relu has it.

    By the result, which the next layer reads anyway, and which lies strictly between the bounds exactly where
    the argument does. None where a bound is too small or too large for the slope.
    """
    ends = [constant_of(v) for v in (low, high)]
    if y.dtype != ir.DataType.FLOAT or any(e is None or e.size != 1 for e in ends):
        return None
    steps = []
    known = [float(e.item()) for e in ends if e is not None]
    for sign, end in zip((1.0, -1.0), known, strict=True):
        if end == 0.0:
            steps.append(op("HardSigmoid", y, alpha=sign * 3e38, beta=-1e-30))
        elif 1e-6 <= abs(end) <= 1e6:
            steps.append(_step(op, y, sign, end))
        else:
            return None
    return steps[0], steps[1]


def _step(op: Builder, y: ir.Value, sign: float, end: float) -> ir.Value:
    """1 where float32 `y` lies above `end` (sign 1) or below it (-1), else 0; `end` is not zero."""
    return op("HardSigmoid", y, alpha=sign * _STEEP, beta=-sign * end * _STEEP)


@rule("Softmax", since=13)
def softmax(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y, axis = node.outputs[0], op.ints([node.attributes.get_int("axis", -1)])
    mean = op("ReduceSum", op("Mul", g, y), axis, keepdims=1)
    return op("Mul", y, op("Sub", g, mean))


@rule("LogSoftmax", since=13)
def log_softmax(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y, axis = node.outputs[0], op.ints([node.attributes.get_int("axis", -1)])
    return op("Sub", g, op("Mul", op("Exp", y), op("ReduceSum", g, axis, keepdims=1)))
