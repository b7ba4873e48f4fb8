"""Sizes that are numbers where they are known at export, and values of the running graph elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import onnx_ir as ir

from fluxpath.export.builder import Builder, dims

Size = int | ir.Value
"""A number, or an int64 value of shape [1]."""


def shape_value(op: Builder, value: ir.Value) -> ir.Value:
    """The run-time shape of `value`, int64 [rank]."""
    return op("Shape", value, dtype=ir.DataType.INT64)


def count_value(op: Builder, value: ir.Value) -> ir.Value:
    """The number of elements of `value` at run time, an int64 scalar.

    Not by the operator Size: on a GPU, ONNX Runtime makes the host wait for what Size gives, and that wait
    breaks the capture of a CUDA graph. Of all operators only Shape is free of it.
    """
    return op("ReduceProd", shape_value(op, value), keepdims=0)


def size(op: Builder, value: ir.Value, axis: int) -> Size:
    """The size of one axis (which may be negative)."""
    known = dims(value)
    axis %= len(known)
    static = known[axis]
    if isinstance(static, int):
        return static
    return op("Shape", value, start=axis, end=axis + 1, dtype=ir.DataType.INT64)


def sizes(op: Builder, value: ir.Value, axes: Iterable[int] | None = None) -> list[Size]:
    """The sizes of some axes, by default of all."""
    return [size(op, value, a) for a in (range(len(dims(value))) if axes is None else axes)]


def as_vector(op: Builder, number: Size) -> ir.Value:
    """A size as an int64 value of shape [1]."""
    return op.ints([number]) if isinstance(number, int) else number


def joined(op: Builder, parts: Sequence[Size]) -> ir.Value:
    """A shape put together from sizes."""
    known = [p for p in parts if isinstance(p, int)]
    if len(known) == len(parts):
        return op.ints(known)
    return op("Concat", *(as_vector(op, p) for p in parts), axis=0)


def product(op: Builder, parts: Sequence[Size]) -> Size:
    """The product of sizes."""
    known = reduce(lambda a, b: a * b, (p for p in parts if isinstance(p, int)), 1)
    result: Size = known
    for part in parts:
        if isinstance(part, ir.Value):
            result = (
                part if isinstance(result, int) and result == 1 else op("Mul", part, as_vector(op, result))
            )
    return result


def reshape(op: Builder, value: ir.Value, parts: Sequence[Size]) -> ir.Value:
    """`value` in the shape `parts`; the one size that is not known is left to Reshape to find out."""
    unknown = sum(isinstance(p, ir.Value) for p in parts)
    if unknown == 1 and 0 not in parts:
        parts = [-1 if isinstance(p, ir.Value) else p for p in parts]
    return op("Reshape", value, joined(op, parts))
