"""The adjoints of reading elements: adding gradients up at the positions that were read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._shape import count_value, shape_value
from fluxpath.export.rules.movement import pad_axis

_HALF = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def scatter_nd(op: Builder, shape: ir.Value, indices: ir.Value, updates: ir.Value) -> ir.Value:
    """Zeros of the run-time shape `shape` with `updates` added at `indices`, as ScatterND has them."""
    wide = widened(op, updates)
    return narrowed(op, op("ScatterND", op.zeros(shape, wide), indices, wide, reduction="add"), updates)


def scatter_elements(
    op: Builder, shape: ir.Value, indices: ir.Value, updates: ir.Value, axis: int
) -> ir.Value:
    """Zeros of the run-time shape `shape` with `updates` added at `indices` along `axis`."""
    wide = widened(op, updates)
    return _added(op, op.zeros(shape, wide), indices, wide, axis, updates)


def _added(
    op: Builder, zeros: ir.Value, indices: ir.Value, wide: ir.Value, axis: int, like: ir.Value
) -> ir.Value:
    return narrowed(op, op("ScatterElements", zeros, indices, wide, axis=axis, reduction="add"), like)


def widened(op: Builder, value: ir.Value) -> ir.Value:
    """Half precision as float32: ONNX Runtime cannot scatter-add halves, and sums of them lose digits."""
    if value.dtype not in _HALF:
        return value
    return op("Cast", value, to=int(ir.DataType.FLOAT), dtype=ir.DataType.FLOAT)


def narrowed(op: Builder, value: ir.Value, like: ir.Value) -> ir.Value:
    if like.dtype not in _HALF:
        return value
    return op("Cast", value, to=int(like.dtype), dtype=like.dtype)


def positions(op: Builder, x: ir.Value) -> ir.Value:
    """The flat position of every element of `x`, in the shape of `x`.

    An operator that only moves elements moves these in the same way, and so tells where each came from.
    """
    flat = op("Range", op.ints(0), count_value(op, x), op.ints(1), dtype=ir.DataType.INT64)
    return op("Reshape", flat, shape_value(op, x))


def scatter_back(op: Builder, x: ir.Value, places: ir.Value, g: ir.Value, spare: int = 0) -> ir.Value:
    """The gradient of `x`: `g` added up at the flat positions `places`.

    The last `spare` places, which can be counted from the end (-1), are for elements that are not from `x`.
    """
    flat = op.ints([-1])
    wide = widened(op, op("Reshape", g, flat))
    # No size is computed here: ONNX Runtime would do that on the CPU, between two kernels on the GPU.
    zeros = op("Reshape", op.zeros(shape_value(op, x), wide), flat)
    if spare:
        assert wide.dtype is not None
        zeros = op("Concat", zeros, op.constant(np.zeros(spare), wide.dtype.numpy()), axis=0)
    filled = _added(op, zeros, op("Reshape", places, flat), wide, 0, g)
    if spare:
        filled = op("Slice", filled, op.ints([0]), op.ints([-spare]))
    return op("Reshape", filled, op.shape_of(x))


def fold(
    op: Builder, g: ir.Value, source: npt.NDArray[np.int64], axis: int, size: int, rank: int
) -> ir.Value | None:
    """The adjoint of reading the positions `source`, known at export, along an axis of `size` elements.

    A negative position stands for an element that did not come from there. Position p receives the sum
    of all of `g` that was read from it; written as a gather, which every runtime does in any precision.
    None where a few positions were read so often that a scatter is the better way.
    """
    count = len(source)
    if count and (source == np.arange(source[0], source[0] + count)).all() and source[0] >= 0:
        return pad_axis(op, g, int(source[0]), size - int(source[0]) - count, axis, rank)
    read = np.flatnonzero(source >= 0)
    readers = read[np.argsort(source[read], kind="stable")]
    times = np.bincount(source[read], minlength=size)
    most = int(times.max(initial=0))
    if most * size > 4 * (size + count):
        return None
    # Row p lists who read p; a zero appended to g stands in where there are fewer readers than elsewhere.
    table = np.full((size, most), count)
    begin = np.cumsum(times) - times
    table[source[readers], np.arange(len(readers)) - begin[source[readers]]] = readers
    padded = pad_axis(op, g, 0, 1, axis, rank) if (table == count).any() else g
    if most == 1:
        return op("Gather", padded, op.constant(table[:, 0], np.int64), axis=axis)
    gathered = op("Gather", padded, op.constant(table, np.int64), axis=axis)
    return op("ReduceSum", gathered, op.ints([axis + 1]), keepdims=0)
