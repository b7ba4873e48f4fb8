"""Shape inference, as every pass over a model needs it."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath.export.builder import constant_of

_INFERRED_AS = {"GroupNormalization": "InstanceNormalization", "MeanVarianceNormalization": "Identity"}
"""Operators that the standard's shape inference does not know, and one with the same shapes."""


_LONGEST = 2**20

_INVENTED = "unk__"
"""How the names begin that inference gives to unknown sizes."""


def forget_invented(model: ir.Model) -> ir.Model:
    """Take back, in place, the names that inference made up for sizes: it would keep them for good."""
    for value in (v for node in model.graph for v in node.outputs):
        if value.shape is not None:
            sizes = [None if str(d).startswith(_INVENTED) else d for d in value.shape]
            value.shape = ir.Shape(sizes)
    return model


def infer_shapes(model: ir.Model) -> ir.Model:
    """Infer element types and shapes of all values, following shape arithmetic."""
    for node in model.graph:
        # It takes the default for 0, where the standard says 1.
        if node.op_type == "STFT" and not node.domain and "onesided" not in node.attributes:
            node.attributes["onesided"] = ir.AttrInt64("onesided", 1)
    renamed = [(n, n.op_type) for n in model.graph if n.op_type in _INFERRED_AS and not n.domain]
    for node, op_type in renamed:
        node.op_type = _INFERRED_AS[op_type]
    # It writes down every number of a Range that it propagates.
    short = not any(_is_long_range(node) for node in model.graph)
    inferred = common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=short)(model).model
    for node, op_type in renamed:
        node.op_type = op_type
    return inferred


def _is_long_range(node: ir.Node) -> bool:
    """Whether `node` counts further than any shape arithmetic does."""
    if node.op_type != "Range" or node.domain:
        return False
    ends = [constant_of(v) for v in node.inputs]
    if any(e is None or e.size != 1 for e in ends):
        return False
    start, limit, step = (float(e.item()) for e in ends if e is not None)
    return step != 0 and (limit - start) / step > _LONGEST
