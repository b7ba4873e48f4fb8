"""Operators that only move elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import count_value, shape_value
from fluxpath.export.rules.activation import first


@rule("Reshape", "Flatten")
def reshape(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Reshape", g, op.shape_of(first(node)))


@rule("Squeeze", "Unsqueeze", since=13)
def squeeze(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # The inverse keeps symbolic sizes, which a Reshape would lose: ONNX Runtime takes minutes to load a
    # long graph of values whose sizes it cannot tell to be the same.
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    if axes is None:
        return op("Reshape", g, op.shape_of(first(node)))
    return op("Unsqueeze" if node.op_type == "Squeeze" else "Squeeze", g, axes)


@rule("Transpose")
def transpose(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    rank = len(dims(first(node)))
    perm = list(node.attributes.get_ints("perm", range(rank)[::-1]))
    return op("Transpose", g, perm=[int(i) for i in np.argsort(perm)])


@rule("Expand", broadcasts=True)
def expand(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return g


@rule("Concat")
def concat(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    inputs = [v for v in node.inputs if v is not None]
    axis = node.attributes.get_int("axis", 0)
    if len(inputs) == 1:
        return g
    sizes = [dims(v)[axis] for v in inputs]
    known = [s for s in sizes if isinstance(s, int)]
    if len(known) == len(sizes):
        split = op.ints(known)
    else:
        each = [_size_along(op, v, axis) for v in inputs]
        split = op("Concat", *each, axis=0)
    return op.node("Split", [g, split], len(inputs), None, {"axis": axis})


def _size_along(op: Builder, value: ir.Value, axis: int) -> ir.Value:
    axis %= len(dims(value))
    return op("Shape", value, start=axis, end=axis + 1, dtype=ir.DataType.INT64)


@rule("Split", all_outputs=True)
def split(op: Builder, node: ir.Node, gs: tuple[ir.Value | None, ...]) -> Gradients:
    known = next(g for g in gs if g is not None)
    parts = [
        g if g is not None else op.zeros(op("Shape", y, dtype=ir.DataType.INT64), known)
        for g, y in zip(gs, node.outputs, strict=True)
    ]
    return op("Concat", *parts, axis=node.attributes.get_int("axis", 0))


@rule("Slice", since=10)
def slice_(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    operands = [constant_of(v) for v in node.inputs[1:]]
    shape = dims(x)
    starts, ends = operands[0], operands[1]
    axes = operands[2] if len(operands) > 2 and operands[2] is not None else np.arange(len(shape))
    steps = operands[3] if len(operands) > 3 and operands[3] is not None else None
    given = all(v is None or c is not None for v, c in zip(node.inputs[1:], operands, strict=True))
    sizes = [shape[int(a) % len(shape)] for a in axes] if given else [None]
    known = [s for s in sizes if isinstance(s, int)]
    if not given or len(known) < len(sizes) or starts is None or ends is None:
        return _slice_at_run_time(op, node, g)
    picks, known_sizes = {}, {}
    for i, size in enumerate(known):
        step = 1 if steps is None else int(steps[i])
        known_sizes[int(axes[i]) % len(shape)] = size
        picks[int(axes[i]) % len(shape)] = range(size)[_python_slice(int(starts[i]), int(ends[i]), step)]
    g, picks = _dilate(op, g, picks, [d if isinstance(d, int) else None for d in shape])
    for axis, picked in picks.items():
        g = _spread(op, g, picked, known_sizes[axis], axis, len(shape))
    return g


def _dilate(
    op: Builder, g: ir.Value, picks: dict[int, range], shape: Sequence[int | None]
) -> tuple[ir.Value, dict[int, range]]:
    """Put zeros between the elements of `g` along spatial axes [batch, channel, ...] picked with a step.

    A transposed convolution with a kernel of a single one for each channel: in ONNX Runtime it took a sixth
    of the time of a Gather. Returns what is left to pick, consecutively; all of it where it does not apply.
    """
    strided = [axis for axis, picked in picks.items() if picked.step > 1 and len(picked) > 1]
    channels = len(picks[1]) if 1 in picks else shape[1] if len(shape) > 1 else None
    empty = any(len(picked) == 0 for picked in picks.values())
    if not strided or min(strided) < 2 or not isinstance(channels, int) or empty or g.dtype is None:
        return g, picks
    strides = [picks[axis].step if axis in strided else 1 for axis in range(2, len(shape))]
    one = op.constant(np.ones((channels, 1, *[1] * len(strides))), g.dtype.numpy())
    g = op("ConvTranspose", g, one, strides=strides, group=channels, kernel_shape=[1] * len(strides))
    return g, {
        axis: range(picked[0], picked[-1] + 1) if axis in strided else picked
        for axis, picked in picks.items()
    }


def _python_slice(start: int, end: int, step: int) -> slice:
    """ONNX's bounds clamp as Python's do, except for an end before element 0 of a backward slice."""
    least = np.iinfo(np.int32).min
    return slice(start, None if step < 0 and end <= least else end, step)


def _spread(op: Builder, g: ir.Value, picked: range, size: int, axis: int, rank: int) -> ir.Value:
    """Put the elements of `g` along `axis` at the positions `picked` of a zero axis of length `size`."""
    if picked.step == 1 or len(picked) <= 1:
        start = picked[0] if len(picked) else 0
        return pad_axis(op, g, start, size - start - len(picked), axis, rank)
    # One zero is appended; every position that was not picked gathers that zero.
    source = np.full(size, len(picked))
    source[np.asarray(picked)] = np.arange(len(picked))
    return op("Gather", pad_axis(op, g, 0, 1, axis, rank), op.ints(source.tolist()), axis=axis)


def pad_axis(op: Builder, g: ir.Value, before: int, after: int, axis: int, rank: int) -> ir.Value:
    """Zeros before and after along one axis."""
    if before == 0 and after == 0:
        return g
    pads = [0] * (2 * rank)
    pads[axis], pads[rank + axis] = before, after
    return op("Pad", g, op.ints(pads))


def _slice_at_run_time(op: Builder, node: ir.Node, g: ir.Value) -> ir.Value:
    """Slice the flat positions of x in the same way and scatter g to them."""
    x = first(node)
    shape = shape_value(op, x)
    positions = op("Range", op.ints(0), count_value(op, x), op.ints(1), dtype=ir.DataType.INT64)
    picked = op.node("Slice", [op("Reshape", positions, shape), *node.inputs[1:]])[0]
    flat = op.ints([-1])
    zeros = op("Reshape", op.zeros(shape, g), flat)
    filled = op("ScatterElements", zeros, op("Reshape", picked, flat), op("Reshape", g, flat), axis=0)
    return op("Reshape", filled, shape)
