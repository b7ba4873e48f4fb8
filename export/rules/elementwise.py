"""Functions of one element, powers and remainders, and element-wise choice."""

from __future__ import annotations

import math

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import compare, first, where


@rule("Abs")
def abs_(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, op("Sign", first(node)))


@rule("Exp")
def exp(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, node.outputs[0])


@rule("Log")
def log(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Div", g, first(node))


@rule("Sqrt")
def sqrt(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Infinite at 0, as in PyTorch: the slope of the root is.
    y = node.outputs[0]
    return op("Div", op("Mul", g, op.scalar(0.5, g)), y)


@rule("Reciprocal")
def reciprocal(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y = node.outputs[0]
    return op("Neg", op("Mul", op("Mul", g, y), y))


@rule("Erf")
def erf(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    bell = op("Exp", op("Neg", op("Mul", x, x)))
    return op("Mul", g, op("Mul", bell, op.scalar(2 / math.sqrt(math.pi), x)))


@rule("Softsign")
def softsign(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # (1 - |y|)^2 would need no x, but cancels where x is large.
    x = first(node)
    divisor = op("Add", op("Abs", x), op.scalar(1.0, x))
    return op("Div", op("Div", g, divisor), divisor)


@rule("Sin")
def sin(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, op("Cos", first(node)))


@rule("Cos")
def cos(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Neg", op("Mul", g, op("Sin", first(node))))


@rule("Tan")
def tan(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y = node.outputs[0]
    return op("Mul", g, op("Add", op("Mul", y, y), op.scalar(1.0, y)))


@rule("Sinh")
def sinh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, op("Cosh", first(node)))


@rule("Cosh")
def cosh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, op("Sinh", first(node)))


def _around_one(op: Builder, x: ir.Value) -> ir.Value:
    """1 - x^2 as (1 - x)(1 + x), which keeps its digits where |x| is near 1."""
    one = op.scalar(1.0, x)
    return op("Mul", op("Sub", one, x), op("Add", one, x))


@rule("Asin")
def asin(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Div", g, op("Sqrt", _around_one(op, first(node))))


@rule("Acos")
def acos(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Neg", op("Div", g, op("Sqrt", _around_one(op, first(node)))))


@rule("Atan")
def atan(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    return op("Div", g, op("Add", op("Mul", x, x), op.scalar(1.0, x)))


@rule("Asinh")
def asinh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    return op("Div", g, op("Sqrt", op("Add", op("Mul", x, x), op.scalar(1.0, x))))


@rule("Acosh")
def acosh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Div", g, op("Sqrt", op("Neg", _around_one(op, first(node)))))


@rule("Atanh")
def atanh(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Div", g, _around_one(op, first(node)))


@rule("Pow", broadcasts=True)
def pow_(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, p = node.inputs
    assert x is not None and p is not None
    return _along_base(op, node, g, x, p), _along_exponent(op, node, g, x, p)


def _along_base(op: Builder, node: ir.Node, g: ir.Value, x: ir.Value, p: ir.Value) -> ir.Value:
    """p x^(p-1) g, which is p x^p / x without a division that fails at 0."""
    known = constant_of(p)
    if known is None or known.size != 1:
        # Where p is 0 the power is constant: its exponent stays 0, for 0 * x^0 is zero and 0 * x^-1 may
        # be NaN.
        assert x.dtype is not None
        p = p if p.dtype == x.dtype else op("Cast", p, to=int(x.dtype), dtype=x.dtype)
        zero = op.scalar(0.0, x)
        is_zero = compare(op, "Equal", p, zero)
        less = where(op, is_zero, zero, op("Sub", p, op.scalar(1.0, x)))
        return op("Mul", g, op("Mul", p, op("Pow", x, less)))
    exponent = float(known.item())
    if exponent == 1.0:
        return g
    if exponent == 0.5:
        return op("Div", op("Mul", g, op.scalar(0.5, g)), node.outputs[0])
    scaled = op("Mul", g, op.scalar(exponent, g))
    if exponent == 0.0:
        return scaled
    return op("Mul", scaled, x if exponent == 2.0 else op("Pow", x, op.scalar(exponent - 1.0, x)))


def _along_exponent(op: Builder, node: ir.Node, g: ir.Value, x: ir.Value, p: ir.Value) -> ir.Value | None:
    """x^p log(x) g; zero for x <= 0, where PyTorch gives zero (x = 0) or NaN (x < 0)."""
    if p.dtype != x.dtype:
        return None
    positive = compare(op, "Greater", x, op.scalar(0.0, x))
    base = where(op, positive, x, op.scalar(1.0, x))
    return op("Mul", g, op("Mul", node.outputs[0], op("Log", base)))


@rule("Mod", broadcasts=True)
def mod(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y = a - q b; the integer q is rounded down or towards zero, and comes back from y either way.
    a, b = node.inputs
    quotient = op("Round", op("Div", op("Sub", a, node.outputs[0]), b))
    return g, op("Neg", op("Mul", g, quotient))


@rule("Mean", broadcasts=True)
def mean(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    count = len(node.inputs)
    share = op("Mul", g, op.scalar(1 / count, g)) if count > 1 else g
    return [share] * count


@rule("Where", broadcasts=True)
def where_(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    condition, zero = first(node), op.scalar(0.0, g)
    return None, where(op, condition, g, zero), where(op, condition, zero, g)
