"""Reductions: the gradient goes back to every element that was summed."""

from __future__ import annotations

import math

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import count_value
from fluxpath.export.rules.activation import first


def expand_like(op: Builder, g: ir.Value, x: ir.Value, batch_kept: bool) -> ir.Value:
    """Broadcast `g`, of the rank of `x`, to the shape of `x`; `batch_kept`: g has the full axis 0."""
    known = dims(x)
    dynamic = [i for i, d in enumerate(known) if not isinstance(d, int)]
    if not dynamic or (dynamic == [0] and batch_kept):
        # Expand broadcasts both ways, so a one stands for the batch dimension that g has already.
        return op("Expand", g, op.ints([1 if not isinstance(d, int) else d for d in known]))
    return op("Expand", g, op("Shape", x, dtype=ir.DataType.INT64))


def keep_reduced_axes(op: Builder, node: ir.Node, value: ir.Value) -> ir.Value:
    """A value of the reduction's output shape, with the reduced axes back as ones."""
    if node.attributes.get_int("keepdims", 1):
        return value
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    if axes is None:
        return op("Reshape", value, op.ints([1] * len(dims(first(node)))))
    return op("Unsqueeze", value, axes)


def reduced_axes(node: ir.Node) -> list[int] | None:
    """The axes that `node` reduces, not negative; None where only the running graph knows them."""
    rank = len(dims(first(node)))
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    given = constant_of(axes)
    if axes is not None and given is None:
        return None
    if given is None or given.size == 0:
        return [] if node.attributes.get_int("noop_with_empty_axes", 0) else list(range(rank))
    return [int(a) % rank for a in given]


@rule("ReduceSum", since=13)
def reduce_sum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    axes = reduced_axes(node)
    if axes == []:
        return g
    return expand_like(op, keep_reduced_axes(op, node, g), first(node), axes is not None and 0 not in axes)


@rule("ReduceMean", since=18)
def reduce_mean(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    axes, x = reduced_axes(node), first(node)
    if axes == []:
        return g
    g = op("Div", g, _reduced_count(op, node, axes, g))
    return expand_like(op, keep_reduced_axes(op, node, g), x, axes is not None and 0 not in axes)


def _reduced_count(op: Builder, node: ir.Node, axes: list[int] | None, g: ir.Value) -> ir.Value:
    """How many elements went into each mean, in the element type of `g`."""
    x = first(node)
    shape = dims(x)
    sizes = [shape[a] for a in axes] if axes is not None else [None]
    known = [s for s in sizes if isinstance(s, int)]
    if len(known) == len(sizes):
        return op.scalar(math.prod(known), g)
    return size_ratio(op, x, node.outputs[0], g)


def size_ratio(op: Builder, x: ir.Value, y: ir.Value, like: ir.Value) -> ir.Value:
    """The number of elements of `x` for each one of `y`, at run time, in the element type of `like`."""
    assert like.dtype is not None
    ratio = op("Div", count_value(op, x), count_value(op, y))
    return op("Cast", ratio, to=int(like.dtype), dtype=like.dtype)


@rule("GlobalAveragePool")
def global_average_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    spatial = [d for d in dims(x)[2:] if isinstance(d, int)]
    static = len(spatial) == len(dims(x)) - 2
    count = op.scalar(math.prod(spatial), g) if static else size_ratio(op, x, node.outputs[0], g)
    return expand_like(op, op("Div", g, count), x, batch_kept=True)
