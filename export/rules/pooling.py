"""Pooling."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import narrowed, scatter_back, widened
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.convolution import Window, spatial_sizes, transposed_convolution, window
from fluxpath.export.rules.reduction import expand_like


@rule("MaxPool", since=8)
def max_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Indices are positions in the flattened input, the first maximum winning a tie as in PyTorch.
    x = first(node)
    attributes = {a.name: a.value for a in node.attributes.values() if a.name != "storage_order"}
    _, indices = op.node("MaxPool", [x], 2, None, attributes)
    indices.dtype = ir.DataType.INT64
    return scatter_back(op, x, indices, g)


@rule("AveragePool", since=7)
def average_pool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    geometry = window(node, list(node.attributes.get_ints("kernel_shape", [])))
    sizes_in, sizes_out = spatial_sizes(x), spatial_sizes(node.outputs[0])
    if sizes_in is not None and set(sizes_out or []) == {1} and _covers(geometry, sizes_in):
        return expand_like(op, op("Div", g, _divisor(op, node, geometry, g)), x, batch_kept=True)
    channels = dims(x)[1]
    if not isinstance(channels, int):
        raise ValueError(f"needs a fixed number of channels, and '{x.name}' has {channels}")
    ones = _as(op, np.ones((channels, 1, *geometry.kernel)), g)
    shares = op("Div", g, _divisor(op, node, geometry, g))
    return transposed_convolution(op, shares, ones, geometry, channels, node)


def _covers(geometry: Window, sizes: list[int]) -> bool:
    """Whether the first window holds the whole image. It may be far larger: as wide as there are channels in
    EfficientNet's pooling, where a kernel of ones would take gigabytes."""
    reach = [k - b for k, b in zip(geometry.kernel, geometry.before, strict=True)]
    dense = set(geometry.dilations) == {1} and geometry.auto_pad == "NOTSET"
    return dense and all(r >= size for r, size in zip(reach, sizes, strict=True))


def _divisor(op: Builder, node: ir.Node, geometry: Window, g: ir.Value) -> ir.Value:
    """How many elements each window averages."""
    sizes_in, sizes_out = spatial_sizes(first(node)), spatial_sizes(node.outputs[0])
    with_pads = bool(node.attributes.get_int("count_include_pad", 0))
    if sizes_in is None or sizes_out is None or geometry.auto_pad != "NOTSET":
        return _divisor_at_run_time(op, node, geometry, g, with_pads)
    counts = _counts(geometry, sizes_in, sizes_out, with_pads)
    uniform = counts.size and (counts == counts.flat[0]).all()
    return op.scalar(float(counts.flat[0]), g) if uniform else _as(op, counts[None, None], g)


def _divisor_at_run_time(
    op: Builder, node: ir.Node, geometry: Window, g: ir.Value, with_pads: bool
) -> ir.Value:
    """The same where only the running graph knows the sizes: pooling ones with the norm 1 counts them."""
    padded = any(geometry.pads) or geometry.auto_pad != "NOTSET"
    reaches_over = node.attributes.get_int("ceil_mode", 0) and geometry.auto_pad == "NOTSET"
    if not reaches_over and (with_pads or not padded):
        return op.scalar(math.prod(geometry.kernel), g)
    n = len(geometry.kernel)
    attributes = {a.name: a.value for a in node.attributes.values() if a.name != "count_include_pad"}
    sizes = op("Shape", first(node), start=2, dtype=ir.DataType.INT64)
    one = widened(op, op.scalar(1.0, g))
    ones = op("Expand", one, op("Concat", op.ints([1, 1]), sizes, axis=0))
    if with_pads:
        ones = op("Pad", ones, op.ints([0, 0, *geometry.before, 0, 0, *geometry.after]), one)
        attributes.pop("pads", None)
    counts = op("LpPool", ones, **{**attributes, "p": 1})
    # A window that would begin in the padding is none; padded beforehand, there may be one of those.
    ends = op("Shape", node.outputs[0], start=2, dtype=ir.DataType.INT64)
    counts = op("Slice", counts, op.ints([0] * n), ends, op.ints(list(range(2, 2 + n))))
    return narrowed(op, counts, g)


def _as(op: Builder, array: np.ndarray, like: ir.Value) -> ir.Value:
    assert like.dtype is not None
    return op.constant(array, like.dtype.numpy())


def _counts(geometry: Window, sizes_in: list[int], sizes_out: list[int], with_pads: bool) -> np.ndarray:
    """How many elements each window averages: pads count on request, what ceil_mode adds never does."""
    result = np.ones(())
    for i, (size, out) in enumerate(zip(sizes_in, sizes_out, strict=True)):
        before = geometry.before[i]
        first_tap = np.arange(out)[:, None] * geometry.strides[i] - before
        taps = first_tap + np.arange(geometry.kernel[i]) * geometry.dilations[i]
        low, high = (-before, size + geometry.after[i]) if with_pads else (0, size)
        inside = ((taps >= low) & (taps < high)).sum(axis=1)
        result = result[..., None] * inside
    return result
