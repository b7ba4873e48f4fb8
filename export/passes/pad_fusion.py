"""Keeps ONNX Runtime from merging a Pad into the pooling that follows, on every machine that opens the file.

Its Pad_Fusion, on by default, turns zeros before a window into the window's own padding. To a convolution
that is the same. A MaxPool's own padding is minus infinity, though, so that maxima of negative values come
out wrong; a second reader, as the gradient's MaxPool is, keeps the fusion off, but an output beside the
logits has none. An AveragePool's own padding counts only if it says so, which not every version saw to. The
fusion passes over a Pad that names its axes, which every Pad may.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of


def keep_pads(model: ir.Model) -> ir.Model:
    """Let every Pad of zeros name its axes, in place, but where convolutions alone read it."""
    op = Builder(model.graph)
    for node in model.graph:
        if node.op_type != "Pad" or node.domain or len(node.inputs) > 3 or _only_convolved(node):
            continue
        pads = constant_of(node.inputs[1])
        if pads is None or node.attributes.get_string("mode", "constant") != "constant":
            continue  # the fusion passes over these too
        axes = op.ints(list(range(pads.size // 2)))
        node.resize_inputs(4)
        node.replace_input_with(3, axes)
    return model


def _only_convolved(node: ir.Node) -> bool:
    users = [user for user, _ in node.outputs[0].uses()]
    return bool(users) and all(user.op_type == "Conv" for user in users)
