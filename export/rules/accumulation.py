"""Products, log-sums and sums of squares; cumulative sums and products."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import compare, first, where
from fluxpath.export.rules.reduction import expand_like, keep_reduced_axes, reduced_axes


def reduce_alike(op: Builder, op_type: str, node: ir.Node, value: ir.Value) -> ir.Value:
    """`value`, of the input's shape, reduced over the axes of the reduction `node`, which stay as ones."""
    noop = node.attributes.get_int("noop_with_empty_axes", 0)
    return op(op_type, value, *node.inputs[1:], keepdims=1, noop_with_empty_axes=noop)


@rule("ReduceSumSquare", since=18)
def reduce_sum_square(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    twice = op("Mul", keep_reduced_axes(op, node, g), op.scalar(2.0, g))
    return op("Mul", twice, first(node))


@rule("ReduceLogSum", since=18)
def reduce_log_sum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    axes = reduced_axes(node)
    share = keep_reduced_axes(op, node, op("Div", g, op("Exp", node.outputs[0])))
    return expand_like(op, share, first(node), axes is not None and 0 not in axes)


@rule("ReduceLogSumExp", since=18)
def reduce_log_sum_exp(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # exp(x - y) is the softmax, and cannot overflow because no x is above y. Its sum is one except for the
    # digits that y loses where it is large.
    y, g = (keep_reduced_axes(op, node, v) for v in (node.outputs[0], g))
    shares = op("Exp", op("Sub", first(node), y))
    return op("Mul", op("Div", g, reduce_alike(op, "ReduceSum", node, shares)), shares)


def _as(op: Builder, truth: ir.Value, like: ir.Value) -> ir.Value:
    """A boolean as one or zero, in the element type of `like`."""
    assert like.dtype is not None
    return op("Cast", truth, to=int(like.dtype), dtype=like.dtype)


@rule("ReduceProd", since=18)
def reduce_prod(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # The product of the others is y / x but at zeros: there it is the product of all that are not zero,
    # unless another one is.
    x = first(node)
    zero = op.scalar(0.0, x)
    is_zero = compare(op, "Equal", x, zero)
    nonzero = where(op, is_zero, op.scalar(1.0, x), x)
    others = op("Div", reduce_alike(op, "ReduceProd", node, nonzero), nonzero)
    zeros = _as(op, is_zero, x)
    alone = compare(op, "Equal", reduce_alike(op, "ReduceSum", node, zeros), zeros)
    return op("Mul", keep_reduced_axes(op, node, g), where(op, alone, others, zero))


@rule("CumSum", since=14)
def cum_sum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return _summed_back(op, node, g)


def _summed_back(op: Builder, node: ir.Node, value: ir.Value) -> ir.Value:
    """The adjoint of the cumulative sum with the direction and the exclusivity of `node`."""
    exclusive, reverse = node.attributes.get_int("exclusive", 0), node.attributes.get_int("reverse", 0)
    return op("CumSum", value, node.inputs[1], exclusive=exclusive, reverse=1 - reverse)


@rule("CumProd", since=26)
def cum_prod(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # x_i is a factor of every y_j from i on, so its gradient is sum_j g_j y_j / x_i. At the first zero that
    # is a sum over the products without it; behind the first zero every product is zero.
    x, y = first(node), node.outputs[0]
    exclusive, reverse = node.attributes.get_int("exclusive", 0), node.attributes.get_int("reverse", 0)
    zero, one = op.scalar(0.0, x), op.scalar(1.0, x)
    is_zero = compare(op, "Equal", x, zero)
    zeros_before = op("CumSum", _as(op, is_zero, x), node.inputs[1], exclusive=1, reverse=reverse)
    reached = compare(op, "Equal", zeros_before, zero)
    first_zero = op("And", is_zero, reached)
    without = op(
        "CumProd", where(op, first_zero, one, x), node.inputs[1], exclusive=exclusive, reverse=reverse
    )
    through = op("Div", _summed_back(op, node, op("Mul", g, y)), where(op, is_zero, one, x))
    around = _summed_back(op, node, op("Mul", g, without))
    return where(op, reached, where(op, is_zero, around, through), zero)
