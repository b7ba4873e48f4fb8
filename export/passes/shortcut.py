"""Makes the parameterless shortcut of a residual network a convolution, which ONNX Runtime keeps in blocks.

A shortcut that drops every second pixel and adds channels of zeros (option A of He et al., "Deep Residual
Learning for Image Recognition", CVPR 2016, section 3.3; what the ResNets for CIFAR have) is a chain of Slice
and Pad. Neither has a blocked form (see `layout`), and the gradient of each is two operators more. A
convolution over one pixel with the stride and a weight of ones and zeros is the same for finite numbers, to
the bit; an infinite or NaN pixel spreads to the other channels, where it stayed in its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import constant_of, dims, initializer
from fluxpath.export.passes.layout import BLOCK

_END = 2**31 - 1
"""An end at or beyond this is "to the end" whatever the size."""


def convolve_shortcuts(model: ir.Model) -> ir.Model:
    """Replace such chains where whole blocks of channels meet whole blocks."""
    for number, pad in enumerate([node for node in model.graph if node.op_type == "Pad" and not node.domain]):
        added = _added_channels(pad)
        x, strides = _strided_from(pad.inputs[0])
        if added is None or x is None or strides == [1, 1] or x.dtype != ir.DataType.FLOAT:
            continue
        channels = dims(x)[1]
        if isinstance(channels, int) and channels % BLOCK == 0 and (channels + sum(added)) % BLOCK == 0:
            _replace(model.graph, pad, x, strides, _copies(channels, *added), number)
    return model


def _added_channels(pad: ir.Node) -> tuple[int, int] | None:
    """How many channels of zeros `pad` puts before and after those of an image; None if it does otherwise."""
    pads = constant_of(pad.inputs[1])
    fill = constant_of(pad.inputs[2]) if len(pad.inputs) > 2 else np.zeros(())
    constant = pad.attributes.get_string("mode", "constant") == "constant"
    named = len(pad.inputs) > 3 and pad.inputs[3] is not None
    if not constant or named or pads is None or pads.size != 8 or fill is None or fill.any():
        return None
    added = int(pads[1]), int(pads[5])
    return added if min(added) >= 0 and np.count_nonzero(pads) == np.count_nonzero(added) else None


def _strided_from(value: ir.Value | None) -> tuple[ir.Value | None, list[int]]:
    """The image of which `value` is every s-th row and t-th column from the first on, and [s, t]."""
    strides = [1, 1]
    while value is not None and (node := value.producer()) is not None and node.op_type == "Slice":
        x = node.inputs[0]
        taken = None if x is None or x.shape is None else _taken(node, x)
        if taken is None:
            break
        value, strides = x, [a * b for a, b in zip(strides, taken, strict=True)]
    return (None if value is None or value.shape is None or len(dims(value)) != 4 else value), strides


def _taken(node: ir.Node, x: ir.Value) -> list[int] | None:
    """The steps of the Slice `node` along rows and columns; None if it does anything else."""
    starts, ends = constant_of(node.inputs[1]), constant_of(node.inputs[2])
    axes = constant_of(node.inputs[3]) if len(node.inputs) > 3 else None
    steps = constant_of(node.inputs[4]) if len(node.inputs) > 4 else None
    if starts is None or ends is None or axes is None or steps is None:
        return None
    strides = {2: 1, 3: 1}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = int(axis) + (len(dims(x)) if axis < 0 else 0)
        size = dims(x)[axis]
        whole = start == 0 and end >= (size if isinstance(size, int) else _END)
        if not whole or step < 1 or (axis not in strides and step != 1):
            return None
        if axis in strides:
            strides[axis] = int(step)
    return [strides[2], strides[3]]


def _copies(channels: int, before: int, after: int) -> npt.NDArray[np.float32]:
    """The weight [before + channels + after, channels, 1, 1] that copies each channel to its new place."""
    weight = np.zeros((before + channels + after, channels, 1, 1), np.float32)
    weight[before : before + channels, :, 0, 0] = np.eye(channels)
    return weight


def _replace(
    graph: ir.Graph,
    pad: ir.Node,
    x: ir.Value,
    strides: list[int],
    weight: npt.NDArray[np.float32],
    number: int,
) -> None:
    name = f"fluxpath/shortcut_{number}"
    ones = initializer(graph, f"{name}/weight", weight)
    attributes = ir.convenience.convert_attributes({"kernel_shape": [1, 1], "strides": strides})
    conv = ir.Node("", "Conv", [x, ones], attributes, name=name)
    old, new = pad.outputs[0], conv.outputs[0]
    new.name, new.type, new.shape = name, old.type, old.shape
    graph.insert_before(pad, conv)
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(pad, safe=True)
