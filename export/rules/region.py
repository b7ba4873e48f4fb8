"""RoiAlign: averages of samples within regions, a linear map of each axis of the image by itself."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import (
    Gradients,
    rule,
)
from fluxpath.export.rules._scatter import scatter_nd
from fluxpath.export.rules._shape import as_vector, shape_value, size
from fluxpath.export.rules.activation import compare, first, where
from fluxpath.export.rules.gather import operand


@rule("RoiAlign", since=16)
def roi_align(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y = rows @ image @ columns', one such pair of matrices a region, so the image's gradient is
    # rows' @ g @ columns, added up over the regions of each image.
    mode, samples = node.attributes.get_string("mode", "avg"), node.attributes.get_int("sampling_ratio", 0)
    if mode != "avg":
        raise ValueError(f"has the mode '{mode}', and only avg has a rule")
    if samples <= 0:
        raise ValueError("has the sampling_ratio 0, a number of samples of its own for each region: fix it")
    x = first(node)
    rows = _weights(op, node, g, 1, 2, node.attributes.get_int("output_height", 1), samples)
    columns = _weights(op, node, g, 0, 3, node.attributes.get_int("output_width", 1), samples)
    rows, columns = (op("Unsqueeze", m, op.ints([1])) for m in (rows, columns))
    each = op("MatMul", op("Transpose", rows, perm=[0, 1, 3, 2]), op("MatMul", g, columns))
    return scatter_nd(op, shape_value(op, x), op("Unsqueeze", operand(node, 2), op.ints([-1])), each)


def _weights(
    op: Builder, node: ir.Node, g: ir.Value, column: int, axis: int, bins: int, samples: int
) -> ir.Value:
    """[regions, bins, pixels]: the weight of every pixel of one axis in every bin."""

    def number(value: float) -> ir.Value:
        return op.scalar(value, g)

    half_pixel = node.attributes.get_string("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    start, end = (_edge(op, node, g, c, half_pixel) for c in (column, column + 2))
    extent = op("Sub", end, start)
    if not half_pixel:
        extent = op("Max", extent, number(1.0))
    assert g.dtype is not None
    fractions = ((np.arange(bins * samples) + 0.5) / (bins * samples)).reshape(1, bins, samples, 1)
    place = op("Add", start, op("Mul", extent, op.constant(fractions, g.dtype.numpy())))
    count = op("Squeeze", as_vector(op, size(op, first(node), axis)))
    length = op("Cast", count, to=int(g.dtype), dtype=g.dtype)
    # Samples up to one pixel outside take the nearest pixel's value, those beyond are zero.
    inside = op(
        "And",
        compare(op, "GreaterOrEqual", place, number(-1.0)),
        compare(op, "LessOrEqual", place, length),
        dtype=ir.DataType.BOOL,
    )
    place = op("Clip", place, number(0.0), op("Sub", length, number(1.0)))
    pixels = op("Range", op.ints(0), count, op.ints(1), dtype=ir.DataType.INT64)
    pixels = op("Cast", pixels, to=int(g.dtype), dtype=g.dtype)
    near = op("Sub", number(1.0), op("Abs", op("Sub", place, pixels)))
    weight = where(op, inside, op("Max", near, number(0.0)), number(0.0))
    return op("ReduceMean", weight, op.ints([2]), keepdims=0)


def _edge(op: Builder, node: ir.Node, g: ir.Value, column: int, half_pixel: bool) -> ir.Value:
    """One edge of every region, in pixels, [regions, 1, 1, 1]."""
    scale = op.scalar(node.attributes.get_float("spatial_scale", 1.0), g)
    edge = op("Mul", op("Gather", operand(node, 1), op.ints(column), axis=1), scale)
    edge = op("Sub", edge, op.scalar(0.5, g)) if half_pixel else edge
    return op("Reshape", edge, op.ints([-1, 1, 1, 1]))
