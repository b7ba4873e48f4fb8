"""A model in float64, for the reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

_TO_DOUBLE = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def to_float64(model: ir.Model) -> onnx.ModelProto:
    """`model` (changed in place) with every floating type widened to float64, as a protobuf."""
    for value in list(model.graph.initializers.values()):
        if value.dtype in _TO_DOUBLE and value.const_value is not None:
            wide = ir.tensor(value.const_value.numpy().astype(np.float64), name=value.name)
            value.const_value = wide
            value.dtype = ir.DataType.DOUBLE
    for value in model.graph.inputs:
        if value.dtype in _TO_DOUBLE:
            value.dtype = ir.DataType.DOUBLE
    for node in model.graph:
        for output in node.outputs:
            if output.dtype in _TO_DOUBLE:
                output.dtype = ir.DataType.DOUBLE
        to = node.attributes.get("to")
        if node.op_type == "Cast" and to is not None and ir.DataType(to.as_int()) in _TO_DOUBLE:
            node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.DOUBLE))
        for name in ("value", "value_float"):
            attr = node.attributes.get(name)
            if attr is not None and attr.type == ir.AttributeType.TENSOR:
                tensor = attr.as_tensor()
                if tensor.dtype in _TO_DOUBLE:
                    node.attributes[name] = ir.AttrTensor(name, ir.tensor(tensor.numpy().astype(np.float64)))
    return ir.to_proto(model)
