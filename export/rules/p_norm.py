"""p-norms: as reductions, as pooling and to normalise by. Where a norm is 0 its gradient is 0."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import compare, first, where
from fluxpath.export.rules.convolution import transposed_convolution, window
from fluxpath.export.rules.reduction import keep_reduced_axes


def _divisor(op: Builder, norm: ir.Value, at_zero: float = 1.0) -> ir.Value:
    """`norm` with another number for zeros."""
    is_zero = compare(op, "Equal", norm, op.scalar(0.0, norm))
    return where(op, is_zero, op.scalar(at_zero, norm), norm)


def _signed_power(op: Builder, x: ir.Value, p: int) -> ir.Value:
    """sign(x) |x|^(p - 1), which is the derivative of |x|^p / p."""
    if p == 1:
        return op("Sign", x)
    if p == 2:
        return x
    return op("Mul", x, op("Pow", op("Abs", x), op.scalar(p - 2.0, x)))


@rule("ReduceL1", since=18)
def reduce_l1(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", keep_reduced_axes(op, node, g), op("Sign", first(node)))


@rule("ReduceL2", since=18)
def reduce_l2(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    g = op("Div", g, _divisor(op, node.outputs[0]))
    return op("Mul", keep_reduced_axes(op, node, g), first(node))


@rule("GlobalLpPool")
def global_lp_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, p = first(node), node.attributes.get_int("p", 2)
    if p > 1:
        # As a power of x / y, which is at most 1, it cannot overflow.
        x = op("Div", x, _divisor(op, node.outputs[0]))
    return op("Mul", g, _signed_power(op, x, p))


@rule("LpPool", since=18)
def lp_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, y, p = first(node), node.outputs[0], node.attributes.get_int("p", 2)
    channels = dims(x)[1]
    if not isinstance(channels, int):
        raise ValueError(f"needs a fixed number of channels, and '{x.name}' has {channels}")
    if p > 1:
        divisor = _divisor(op, y)
        g = op("Div", g, divisor if p == 2 else op("Pow", divisor, op.scalar(p - 1.0, y)))
    geometry = window(node, list(node.attributes.get_ints("kernel_shape", [])))
    assert g.dtype is not None
    ones = op.constant(np.ones((channels, 1, *geometry.kernel)), g.dtype.numpy())
    spread = transposed_convolution(op, g, ones, geometry, channels, node)
    return op("Mul", spread, _signed_power(op, x, p))


@rule("LpNormalization")
def lp_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y = x / n with n the norm: (g - u <g, y>) / n, where u = sign(x) |y|^(p-1) is the derivative of n.
    x, y, p = first(node), node.outputs[0], node.attributes.get_int("p", 2)
    axis = op.ints([node.attributes.get_int("axis", -1)])
    norm = op("ReduceL1" if p == 1 else "ReduceL2", x, axis, keepdims=1)
    slope = op("Sign", x) if p == 1 else y
    along = op("ReduceSum", op("Mul", g, y), axis, keepdims=1)
    # y is a constant 0 where the norm is 0, hence the division by infinity.
    return op("Div", op("Sub", g, op("Mul", slope, along)), _divisor(op, norm, float("inf")))
