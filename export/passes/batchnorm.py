"""Takes BatchNormalization out of a graph: into the convolution before it, else into Mul and Add."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.builder import constant_of, initializer

Float64 = npt.NDArray[np.float64]


def fold_batchnorm(model: ir.Model) -> ir.Model:
    """Replace every BatchNormalization, which must be in its inference form.

    y = (x - mean) / sqrt(var + epsilon) * gamma + beta is a scale and a shift for each channel. After a
    Conv that feeds nothing else both go into its weight and bias, in float64 arithmetic.
    """
    for node in list(model.graph):
        if node.op_type != "BatchNormalization" or node.domain:
            continue
        scale, shift = _affine(node, int(model.opset_imports.get("", 0)))
        conv = _only_consumer_of_conv(node)
        if conv is None or not _fold(model.graph, conv, node, scale, shift):
            _decompose(model.graph, node, scale, shift)
    return model


def _affine(node: ir.Node, opset: int) -> tuple[Float64, Float64]:
    parameters = [constant_of(v) for v in node.inputs[1:5]]
    if any(p is None for p in parameters):
        raise UnsupportedOperatorError(
            f"operator BatchNormalization (opset {opset}) of node '{node.name}' has computed "
            "parameters: export the model in evaluation mode"
        )
    gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    scale = gamma / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    return scale, beta - mean * scale


def _only_consumer_of_conv(node: ir.Node) -> ir.Node | None:
    x = node.inputs[0]
    producer = x.producer() if x is not None else None
    if x is None or producer is None or producer.op_type != "Conv":
        return None
    return producer if len(list(x.uses())) == 1 and not x.is_graph_output() else None


def _fold(graph: ir.Graph, conv: ir.Node, node: ir.Node, scale: Float64, shift: Float64) -> bool:
    weight = constant_of(conv.inputs[1])
    bias = constant_of(conv.inputs[2]) if len(conv.inputs) > 2 else None
    if weight is None or (len(conv.inputs) > 2 and conv.inputs[2] is not None and bias is None):
        return False
    scaled = weight.astype(np.float64) * scale.reshape(-1, *[1] * (weight.ndim - 1))
    moved = (0.0 if bias is None else bias.astype(np.float64)) * scale + shift
    conv.replace_input_with(
        1, initializer(graph, f"fluxpath/{node.name}/weight", scaled.astype(weight.dtype))
    )
    new_bias = initializer(graph, f"fluxpath/{node.name}/bias", moved.astype(weight.dtype))
    if len(conv.inputs) > 2:
        conv.replace_input_with(2, new_bias)
    else:
        conv.resize_inputs(3)
        conv.replace_input_with(2, new_bias)
    y = conv.outputs[0]
    _replace(graph, node, y)
    return True


def _decompose(graph: ir.Graph, node: ir.Node, scale: Float64, shift: Float64) -> None:
    x = node.inputs[0]
    assert x is not None and x.dtype is not None
    rank = len(x.shape) if x.shape is not None else 4
    shape = (-1, *[1] * (rank - 2))
    dtype = x.dtype.numpy()
    factor = initializer(graph, f"fluxpath/{node.name}/scale", scale.reshape(shape).astype(dtype))
    offset = initializer(graph, f"fluxpath/{node.name}/shift", shift.reshape(shape).astype(dtype))
    product = ir.Node("", "Mul", [x, factor], name=f"fluxpath/{node.name}/Mul")
    total = ir.Node("", "Add", [product.outputs[0], offset], name=f"fluxpath/{node.name}/Add")
    for made in (product, total):
        made.outputs[0].name = made.name
        made.outputs[0].dtype, made.outputs[0].shape = x.dtype, x.shape
    graph.insert_before(node, [product, total])
    _replace(graph, node, total.outputs[0])


def _replace(graph: ir.Graph, node: ir.Node, value: ir.Value) -> None:
    old = node.outputs[0]
    name = old.name
    ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    value.name = name
