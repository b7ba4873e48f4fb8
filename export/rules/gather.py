"""Reading elements at indices: the gradient is added up where each was read."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import fold, scatter_back, scatter_elements, scatter_nd
from fluxpath.export.rules._shape import as_vector, joined, product, reshape, shape_value, sizes
from fluxpath.export.rules.activation import first


def operand(node: ir.Node, slot: int) -> ir.Value:
    """An input that the operator must have."""
    value = node.inputs[slot] if slot < len(node.inputs) else None
    if value is None:
        raise ValueError(f"lacks its input {slot}")
    return value


@rule("Gather")
def gather(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, indices = first(node), operand(node, 1)
    shape, rank = dims(x), len(dims(x))
    axis = node.attributes.get_int("axis", 0) % rank
    known, length = constant_of(indices), shape[axis]
    if known is not None and isinstance(length, int):
        source = (known.astype(np.int64) % length).reshape(-1) if length else known.reshape(-1)
        folded = fold(op, _one_axis(op, g, x, axis, known.ndim, source.size), source, axis, length, rank)
        if folded is not None:
            return folded
    return gather_at_run_time(op, g, x, indices, axis)


def _one_axis(op: Builder, g: ir.Value, x: ir.Value, axis: int, index_rank: int, count: int) -> ir.Value:
    """`g` with the axes of the indices, which stand in the place of `axis`, made into one."""
    if index_rank == 1:
        return g
    if index_rank == 0:
        return op("Unsqueeze", g, op.ints([axis]))
    rank = len(dims(x))
    return reshape(op, g, [*sizes(op, x, range(axis)), count, *sizes(op, x, range(axis + 1, rank))])


def gather_at_run_time(op: Builder, g: ir.Value, x: ir.Value, indices: ir.Value, axis: int) -> ir.Value:
    """Add `g` to rows of zeros at `indices`, with `axis` as the first axis meanwhile."""
    rank, index_rank = len(dims(x)), len(dims(indices))
    rest = [a for a in range(rank) if a != axis]
    shape = shape_value(op, x)
    if axis:
        of_indices = list(range(axis, axis + index_rank))
        others = [a for a in range(rank - 1 + index_rank) if a not in of_indices]
        g = op("Transpose", g, perm=[*of_indices, *others])
        shape = op("Gather", shape, op.ints([axis, *rest]))
    if indices.dtype != ir.DataType.INT64:
        # Gather takes int32 too, ScatterND does not.
        indices = op("Cast", indices, to=int(ir.DataType.INT64), dtype=ir.DataType.INT64)
    summed = scatter_nd(op, shape, op("Unsqueeze", indices, op.ints([-1])), g)
    if not axis:
        return summed
    return op("Transpose", summed, perm=[int(i) for i in np.argsort([axis, *rest])])


@rule("GatherElements")
def gather_elements(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    return scatter_elements(op, shape_value(op, x), operand(node, 1), g, node.attributes.get_int("axis", 0))


@rule("TopK", since=10)
def top_k(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # A gather at the indices that the operator gives as well. No two of them are alike.
    axis = node.attributes.get_int("axis", -1)
    return scatter_elements(op, shape_value(op, first(node)), node.outputs[1], g, axis)


@rule("GatherND")
def gather_nd(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, indices = first(node), operand(node, 1)
    batch = node.attributes.get_int("batch_dims", 0)
    if not batch:
        return scatter_nd(op, shape_value(op, x), indices, g)
    # The batch axes become one, and its number the first coordinate of every index.
    lead = sizes(op, x, range(batch))
    count = as_vector(op, product(op, lead))
    rows = sizes(op, indices, range(batch, len(dims(indices))))
    own = joined(op, [count, *rows])
    number = op("Range", op.ints(0), op("Squeeze", count), op.ints(1), dtype=ir.DataType.INT64)
    column = op("Reshape", number, op.ints([-1, *[1] * len(rows)]))
    column = op("Expand", column, joined(op, [count, *rows[:-1], 1]))
    full = op("Concat", column, op("Reshape", indices, own), axis=-1)
    inner = sizes(op, x, range(batch, len(dims(x))))
    depth = dims(indices)[-1]
    if not isinstance(depth, int):
        raise ValueError(f"needs indices with a fixed last dimension, and those of '{indices.name}' vary")
    flat = op("Reshape", g, joined(op, [count, *rows[:-1], *inner[depth:]]))
    return op("Reshape", scatter_nd(op, joined(op, [count, *inner]), full, flat), op.shape_of(x))


@rule("Compress")
def compress(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Compress is a gather at the positions where the condition holds.
    x, condition = first(node), operand(node, 1)
    picked = op("Reshape", op("NonZero", condition, dtype=ir.DataType.INT64), op.ints([-1]))
    axis = node.attributes.get("axis")
    if axis is not None:
        picked.shape = ir.Shape([None])
        return gather_at_run_time(op, g, x, picked, axis.as_int() % len(dims(x)))
    return scatter_back(op, x, picked, g)
