"""Takes a scale of the channels in front of a convolution into its weights.

A classifier that normalises its input subtracts a mean and divides by a deviation. The mean cannot go into
the convolution, whose padding is zero after it and not before; the division can, and leaves the backward pass
as well: two operators less on arrays of the image's size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import constant_of, dims, initializer

Float64 = npt.NDArray[np.float64]


def fold_scales(model: ir.Model) -> ir.Model:
    """Drop every Mul or Div by constants, one per channel, that feeds float32 convolutions only.

    The weights are multiplied in float64 and rounded once.
    """
    for node in reversed(list(model.graph)):  # of several in a row the last one goes first
        x, scale = _scaled(node)
        y = node.outputs[0]
        if x is None or scale is None or y.is_graph_output() or not (uses := list(y.uses())):
            continue
        if all(_takes(user, index, scale) for user, index in uses):
            for number, (conv, _) in enumerate(uses):
                _rescale(model.graph, conv, scale, f"{y.name}/folded_{number}")
                conv.replace_input_with(0, x)
            model.graph.remove(node, safe=True)
    return model


def _scaled(node: ir.Node) -> tuple[ir.Value | None, Float64 | None]:
    """What `node` multiplies, float32 and with channels, and by what, float64 [channels] or [1]."""
    if node.op_type not in ("Mul", "Div") or node.domain:
        return None, None
    x, factor = node.inputs
    constant = constant_of(factor)
    if constant is None and node.op_type == "Mul":
        x, constant = factor, constant_of(x)
    if x is None or constant is None or x.dtype != ir.DataType.FLOAT or x.shape is None:
        return None, None
    rank = len(dims(x))
    if rank < 3 or constant.ndim > rank:
        return None, None
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if constant.size != shape[1] or constant.size not in (1, dims(x)[1]):
        return None, None  # it differs along another axis, or gives the value its channels
    numbers = constant.reshape(-1).astype(np.float64)
    with np.errstate(divide="ignore"):
        scale = 1.0 / numbers if node.op_type == "Div" else numbers
    return (x, scale) if np.isfinite(scale).all() else (None, None)


def _takes(user: ir.Node, index: int, scale: Float64) -> bool:
    """Whether `user` is a convolution of the scaled value whose weights can take the scale."""
    if user.op_type != "Conv" or user.domain or index != 0:
        return False
    weight = constant_of(user.inputs[1])
    if weight is None or weight.dtype != np.float32:
        return False
    with np.errstate(over="ignore"):
        return bool(np.isfinite(_product(user, weight, scale)).all())


def _product(conv: ir.Node, weight: npt.NDArray[np.float32], scale: Float64) -> npt.NDArray[np.float32]:
    """The weight [outputs, channels / groups, ...], each input channel multiplied by its scale."""
    groups = conv.attributes.get_int("group", 1)
    outputs, channels = weight.shape[:2]
    each = np.broadcast_to(scale, groups * channels).reshape(groups, 1, channels)
    by_group = weight.astype(np.float64).reshape(groups, outputs // groups, channels, -1) * each[..., None]
    return by_group.reshape(weight.shape).astype(np.float32)


def _rescale(graph: ir.Graph, conv: ir.Node, scale: Float64, name: str) -> None:
    weight = constant_of(conv.inputs[1])
    assert weight is not None
    conv.replace_input_with(1, initializer(graph, name, _product(conv, weight, scale)))
