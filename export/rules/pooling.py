"""Pooling."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, int_attribute, ints_attribute, rule
from fluxpath.export.rules._scatter import scatter_back
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.convolution import Window, static_spatial, transposed_convolution, window
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
    geometry = window(node, ints_attribute(node, "kernel_shape", []))
    sizes_in, sizes_out = static_spatial(x), static_spatial(node.outputs[0])
    counts = _counts(geometry, sizes_in, sizes_out, bool(int_attribute(node, "count_include_pad", 0)))
    if all(n == 1 for n in sizes_out) and geometry.kernel == sizes_in and not any(geometry.pads):
        return expand_like(op, op("Div", g, op.scalar(math.prod(sizes_in), g)), x, batch_kept=True)
    uniform = counts.size and (counts == counts.flat[0]).all()
    divisor = op.scalar(float(counts.flat[0]), g) if uniform else _as(op, counts[None, None], g)
    channels = dims(x)[1]
    if not isinstance(channels, int):
        raise ValueError(f"needs a fixed number of channels, and '{x.name}' has {channels}")
    ones = _as(op, np.ones((channels, 1, *geometry.kernel)), g)
    return transposed_convolution(op, op("Div", g, divisor), ones, geometry, channels, node)


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
