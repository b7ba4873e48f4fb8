"""Half-precision gradient graphs: float16 or bfloat16 inside, float32 at both ends.

What that costs comes from rounding what convolutions and products take on the way forward: a ReLU whose
input changes its sign lets another gradient through. Of ResNet-20, 0.05% of the ReLUs (float16) or 0.4%
(bfloat16) do, and the gradient is 9% or 23% off (median, relative L2); with Softplus in their place, 0.3% or
1.9%. Rounded weights alone make a third to a half of it. Sums, the residual stream or the backward pass in
float32 change nothing, so none of them are widened (`benchmarks/precision.py`).
"""

from __future__ import annotations

import numpy as np
import onnx.defs
import onnx_ir as ir

from fluxpath.errors import ModelError, UnsupportedOperatorError
from fluxpath.export.builder import initializer, named

BFLOAT16_OPSET = 22
"""The first operator set whose convolutions and poolings take bfloat16."""

PRECISIONS = {
    "float32": ir.DataType.FLOAT,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
}
"""The element types that a gradient graph can compute in, by the name that `export` takes."""


def narrow(model: ir.Model, dtype: ir.DataType, logits: str) -> ir.Model:
    """Let `model` compute in `dtype` between its inputs and outputs, which stay float32.

    logits: the name of a value that is float32 again afterwards. Only the network narrows: the objective's
    head, its seed, scale and score are built on float32 logits, and sums are the runtime's.
    """
    graph, opset = model.graph, int(model.opset_imports.get("", 0))
    # Before anything changes: the logits' name may be an output's, and must end up with the widened value.
    kept = dict.fromkeys([named(graph, logits), *graph.outputs])
    wide = [value for value in kept if value.dtype == ir.DataType.FLOAT]
    constants: dict[ir.Value, ir.Value] = {}
    for node in graph:
        _narrow_node(graph, node, dtype, opset, constants)
    for value in list(graph.inputs):
        if value.dtype == ir.DataType.FLOAT:
            _insert_cast(graph, value, dtype)
    for value in wide:
        _widen(graph, value)
    return model


def _narrow_node(
    graph: ir.Graph, node: ir.Node, dtype: ir.DataType, opset: int, constants: dict[ir.Value, ir.Value]
) -> None:
    accepted = _accepted(node, dtype, opset)
    for slot, value in enumerate(node.inputs):
        if value is None or value.dtype != ir.DataType.FLOAT or not accepted(slot):
            continue
        if value.const_value is not None and value.producer() is None:
            if value not in constants:
                constants[value] = _narrow_constant(graph, value, dtype)
            node.replace_input_with(slot, constants[value])
    if node.op_type in ("Cast", "EyeLike") and node.attributes.get_int("to") == ir.DataType.FLOAT:
        node.attributes["to"] = ir.AttrInt64("to", int(dtype))
    fill = node.attributes.get_tensor("value")
    if node.op_type == "ConstantOfShape" and (fill is None or fill.dtype == ir.DataType.FLOAT):
        number = np.zeros(1) if fill is None else fill.numpy()
        node.attributes["value"] = ir.AttrTensor("value", ir.tensor(number.astype(dtype.numpy())))
    for output in node.outputs:
        if output.dtype == ir.DataType.FLOAT:
            output.dtype = dtype


class _Accepted:
    """Which input slots of a node take `dtype` by the standard's schema."""

    def __init__(self, schema: onnx.defs.OpSchema, type_name: str) -> None:
        self._inputs = list(schema.inputs)
        self._type = type_name

    def __call__(self, slot: int) -> bool:
        return self._type in self._inputs[min(slot, len(self._inputs) - 1)].types


def _accepted(node: ir.Node, dtype: ir.DataType, opset: int) -> _Accepted:
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError as error:
        raise UnsupportedOperatorError(
            f"operator {node.op_type} (opset {opset}) of node '{node.name}' is not in the standard, so its "
            "precision cannot be lowered: export in float32"
        ) from error
    accepted = _Accepted(schema, f"tensor({dtype.name.lower()})")
    carries = any(v is not None and v.dtype in (ir.DataType.FLOAT, dtype) for v in node.inputs[:1])
    if carries and not accepted(0):
        raise ModelError(
            f"operator {node.op_type} (opset {opset}) of node '{node.name}' has no {dtype.name.lower()} "
            "form: export in float32, or write the model in a later opset (bfloat16 needs 22)"
        )
    return accepted


def _narrow_constant(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    assert value.const_value is not None
    narrowed = value.const_value.numpy().astype(dtype.numpy())
    return initializer(graph, f"{value.name}/{dtype.name.lower()}", narrowed)


def _insert_cast(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> None:
    """Let all readers of the input `value` read it in `dtype`."""
    readers = list(value.uses())
    if not readers:
        return
    cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(dtype))], name=f"{value.name}/narrow")
    cast.outputs[0].name, cast.outputs[0].dtype = cast.name, dtype
    cast.outputs[0].shape = value.shape
    first = next(node for node in graph if any(v is value for v in node.inputs))
    graph.insert_before(first, cast)
    for node, slot in readers:
        node.replace_input_with(slot, cast.outputs[0])


def _widen(graph: ir.Graph, value: ir.Value) -> None:
    """Append a float32 copy of `value`, which takes over its name and its place as output."""
    name = value.name
    cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(ir.DataType.FLOAT))], name=f"{name}/widen")
    wide = cast.outputs[0]
    wide.dtype, wide.shape = ir.DataType.FLOAT, value.shape
    graph.append(cast)
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = wide
    value.name = f"{name}/narrow"
    wide.name = name
