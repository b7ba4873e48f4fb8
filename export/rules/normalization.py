"""Normalisations. Each gradient is written out in closed form and needs no more than x, y and g.

With d = x - mean(x), v = mean(d^2) + epsilon and y = d / sqrt(v), a gradient g of y is
r - mean(r) over sqrt(v), with r = g - d mean(g d) / v.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import first

_HALF = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def _mean(op: Builder, value: ir.Value, axes: list[int]) -> ir.Value:
    return op("ReduceMean", value, op.ints(axes), keepdims=1)


def _wide(op: Builder, value: ir.Value) -> ir.Value:
    """Half precision as float32: the operators compute in it, and squares overflow otherwise."""
    if value.dtype not in _HALF:
        return value
    return op("Cast", value, to=int(ir.DataType.FLOAT), dtype=ir.DataType.FLOAT)


def _like(op: Builder, value: ir.Value, x: ir.Value) -> ir.Value:
    """`value` in the element type of `x`."""
    if value.dtype == x.dtype:
        return value
    assert x.dtype is not None
    return op("Cast", value, to=int(x.dtype), dtype=x.dtype)


def _standardized(
    op: Builder, x: ir.Value, g: ir.Value, axes: list[int], epsilon: float, scale: ir.Value | None = None
) -> ir.Value:
    """The gradient along `x` of (x - mean) / sqrt(variance + epsilon) * scale over `axes`.

    `scale` is constant along the axes, so that it multiplies the small factor and no tensor.
    """
    x, g = _wide(op, x), _wide(op, g)
    d = op("Sub", x, _mean(op, x, axes))
    variance = op("Add", _mean(op, op("Mul", d, d), axes), op.scalar(epsilon, d))
    along = op("Div", _mean(op, op("Mul", g, d), axes), variance)
    r = op("Sub", g, op("Mul", d, along))
    deviation = op("Sqrt", variance)
    factor = op("Reciprocal", deviation) if scale is None else op("Div", _wide(op, scale), deviation)
    return op("Mul", op("Sub", r, _mean(op, r, axes)), factor)


@rule("LayerNormalization", since=17)
def layer_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    gradient = _standardized(op, x, op("Mul", g, node.inputs[1]), _trailing(node), _epsilon(node))
    return _like(op, gradient, x)


def _trailing(node: ir.Node) -> list[int]:
    rank = len(dims(first(node)))
    return list(range(node.attributes.get_int("axis", -1) % rank, rank))


def _epsilon(node: ir.Node) -> float:
    return node.attributes.get_float("epsilon", 1e-5)


@rule("RMSNormalization", since=23)
def rms_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # With n = x / rms and y = n s the gradient is (g s - n mean(g y)) / rms: n s g is g y.
    x, axes = first(node), _trailing(node)
    wide, scale = _wide(op, x), node.inputs[1]
    square = op("Add", _mean(op, op("Mul", wide, wide), axes), op.scalar(_epsilon(node), wide))
    rms = op("Sqrt", square)
    along = _mean(op, _wide(op, op("Mul", g, node.outputs[0])), axes)
    scaled = _wide(op, op("Mul", g, scale))
    gradient = op("Div", op("Sub", scaled, op("Mul", wide, op("Div", along, rms))), rms)
    return _like(op, gradient, x)


@rule("InstanceNormalization")
def instance_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    rank = len(dims(x))
    scale = _along_axis_1(op, node.inputs[1], rank)
    return _like(op, _standardized(op, x, g, list(range(2, rank)), _epsilon(node), scale), x)


def _along_axis_1(op: Builder, value: ir.Value | None, rank: int) -> ir.Value:
    """A vector along axis 1 of tensors of the given rank."""
    return op("Unsqueeze", value, op.ints(list(range(1, rank - 1))))


@rule("GroupNormalization", since=21)
def group_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Its first form, of opsets 18 to 20, is deprecated: the standard's checker refuses such models.
    x, groups = first(node), op.ints([0, node.attributes.get_int("num_groups", 1), -1])
    scaled = op("Mul", g, _along_axis_1(op, node.inputs[1], len(dims(x))))
    x_rows, g_rows = op("Reshape", x, groups), op("Reshape", scaled, groups)
    gradient = _standardized(op, x_rows, g_rows, [2], _epsilon(node))
    return op("Reshape", _like(op, gradient, x), op.shape_of(x))


@rule("MeanVarianceNormalization", since=13)
def mean_variance_normalization(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, y = first(node), node.outputs[0]
    axes = list(node.attributes.get_ints("axes", [0, 2, 3]))
    d = op("Sub", x, _mean(op, x, axes))
    deviation = op("Add", op("Sqrt", _mean(op, op("Mul", d, d), axes)), op.scalar(1e-9, d))
    r = op("Sub", g, op("Mul", y, _mean(op, op("Mul", g, y), axes)))
    return op("Div", op("Sub", r, _mean(op, r, axes)), deviation)


@rule("LRN", since=13)
def lrn(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y = x s^-beta with s = bias + alpha * (mean of x^2 over the channels near, those beyond counting 0).
    x, y, g = (_wide(op, v) for v in (first(node), node.outputs[0], g))
    alpha, beta = node.attributes.get_float("alpha", 1e-4), node.attributes.get_float("beta", 0.75)
    size = node.attributes.get_int("size", 1)
    below = (size - 1) // 2
    above = size - 1 - below
    s = op("Mul", _channel_mean(op, op("Mul", x, x), below, above), op.scalar(alpha, x))
    s = op("Add", s, op.scalar(node.attributes.get_float("bias", 1.0), x))
    direct = op("Div", g, op("Pow", s, op.scalar(beta, s)))
    # A channel takes part in the means of the mirrored neighbourhood.
    through = _channel_mean(op, op("Div", op("Mul", g, y), s), above, below)
    through = op("Mul", op("Mul", x, through), op.scalar(2 * alpha * beta, x))
    return _like(op, op("Sub", direct, through), first(node))


def _channel_mean(op: Builder, value: ir.Value, below: int, above: int) -> ir.Value:
    """The mean over axis 1 of a window that reaches `below` and `above` an element, zeros outside.

    `value` is of the first input's shape; an image of one channel, channels high, makes it a pooling.
    """
    rows = op("Unsqueeze", op("Reshape", value, op.ints([0, 0, -1])), op.ints([1]))
    mean = op(
        "AveragePool",
        rows,
        kernel_shape=[below + above + 1, 1],
        pads=[below, 0, above, 0],
        count_include_pad=1,
    )
    return op("Reshape", mean, op("Shape", value, dtype=ir.DataType.INT64))
