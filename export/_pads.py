"""Keeps a Pad with zeros in front of a MaxPool as it is, in anybody's ONNX Runtime."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of


def keep_pads(model: ir.Model) -> None:
    """Pad with -0.0 in place of 0.0 where a MaxPool reads the result; types must have been inferred.

    ONNX Runtime's optimizer Pad_Fusion merges such a Pad into the MaxPool, whose own pads are less than any
    number: wrong where a window has negative numbers only. It compares bytes, so that -0.0 escapes it.
    """
    op = Builder(model.graph)
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        mode = node.attributes.get("mode")
        if node.op_type != "Pad" or (mode is not None and mode.as_string() != "constant"):
            continue
        x, filler = node.inputs[0], node.inputs[2] if len(node.inputs) > 2 else None
        zero = filler is None or constant_of(filler) == 0
        if (
            zero
            and x is not None
            and x.dtype is not None
            and x.dtype.is_floating_point()
            and _is_pooled(node)
        ):
            if len(node.inputs) < 3:
                node.resize_inputs(3)
            node.replace_input_with(2, op.scalar(-0.0, x))


def _is_pooled(node: ir.Node) -> bool:
    """Whether a MaxPool reads `node`, if need be behind a Cast."""
    readers = [reader for reader, _ in node.outputs[0].uses()]
    readers += [r for cast in readers if cast.op_type == "Cast" for r, _ in cast.outputs[0].uses()]
    return any(r.op_type == "MaxPool" for r in readers)
