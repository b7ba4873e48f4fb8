"""Largest and smallest elements.

Ties follow PyTorch: torch.maximum and amax share the gradient evenly among the equal ones (Max, Min,
ReduceMax, ReduceMin), pooling gives it to the first (GlobalMaxPool, as MaxPool).
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, cut, rule
from fluxpath.export.rules.accumulation import reduce_alike
from fluxpath.export.rules.activation import compare, first, where
from fluxpath.export.rules.reduction import keep_reduced_axes

cut("Hardmax")


def _counted(op: Builder, reached: ir.Value, g: ir.Value) -> ir.Value:
    """One where `reached`, else zero, in the element type of `g`."""
    assert g.dtype is not None
    return op("Cast", reached, to=int(g.dtype), dtype=g.dtype)


@rule("Max", "Min", broadcasts=True)
def extremum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    inputs = [v for v in node.inputs if v is not None]
    if len(inputs) == 1:
        return g
    reached = [compare(op, "Equal", v, node.outputs[0]) for v in inputs]
    share = op("Div", g, op("Sum", *(_counted(op, r, g) for r in reached)))
    return [where(op, r, share, op.scalar(0.0, g)) for r in reached]


@rule("ReduceMax", "ReduceMin", since=18)
def reduce_extremum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y, g = (keep_reduced_axes(op, node, v) for v in (node.outputs[0], g))
    reached = compare(op, "Equal", first(node), y)
    share = op("Div", g, reduce_alike(op, "ReduceSum", node, _counted(op, reached, g)))
    return where(op, reached, share, op.scalar(0.0, g))


@rule("GlobalMaxPool")
def global_max_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, rows = first(node), op.ints([0, 0, -1])
    flat = op("Reshape", x, rows)
    best = op("ArgMax", flat, axis=2, keepdims=1, dtype=ir.DataType.INT64)
    zeros = op.zeros(op("Shape", flat, dtype=ir.DataType.INT64), g)
    filled = op("ScatterElements", zeros, best, op("Reshape", g, rows), axis=2)
    return op("Reshape", filled, op.shape_of(x))
