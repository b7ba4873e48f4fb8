"""Makes an average over a window larger than the image an average over the image.

The EfficientNets of transformers pool with a window as wide as the model has channels, in ceiling mode, where
a window is cut to the image. The standard has that, but OpenVINO refuses a window that is larger.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import dims


def pool_everything(model: ir.Model) -> ir.Model:
    """Replace such pools, in place; what is no larger than the image stays as it is."""
    for node in list(model.graph):
        if node.op_type == "AveragePool" and not node.domain and _covers(node):
            pooled = ir.Node("", "GlobalAveragePool", node.inputs, name=node.name)
            old, new = node.outputs[0], pooled.outputs[0]
            new.name, new.type, new.shape = old.name, old.type, old.shape
            ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
            model.graph.insert_before(node, pooled)
            model.graph.remove(node, safe=True)
    return model


def _covers(node: ir.Node) -> bool:
    """Whether there is one window, with no pads, that is larger than the image and cut to it."""
    x = node.inputs[0]
    if x is None or x.shape is None or node.outputs[0].shape is None:
        return False
    sizes, kernel = dims(x)[2:], list(node.attributes.get_ints("kernel_shape", []))
    padded = any(node.attributes.get_ints("pads", [])) or "auto_pad" in node.attributes
    dilated = any(d != 1 for d in node.attributes.get_ints("dilations", []))
    one = dims(node.outputs[0])[2:] == [1] * len(kernel)
    if padded or dilated or not one or not node.attributes.get_int("ceil_mode", 0):
        return False
    pairs = list(zip(kernel, sizes, strict=True))
    return all(isinstance(s, int) and k >= s for k, s in pairs) and any(k != s for k, s in pairs)
