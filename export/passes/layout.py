"""Keeps a graph in the blocked layout in which ONNX Runtime's convolutions work on a CPU.

ONNX Runtime reorders an image for its convolutions into blocks of channels, and back for whatever has no
blocked form. A sum or product of a blocked and a plain operand is plain, and so is all that follows up to
the next convolution: one plain shortcut turns a whole stage of a residual network into reorders, forward
and backward. An average over a window of one element is the identity (also for NaN), and it has a blocked
form: it takes the plain operand over. ResNet-20's gradient graph had 61 reorders without; with it, and with
`shortcut`, it has 9.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import constant_of, dims

BLOCK = 16
"""Channels per block where vectors have 512 bits; a multiple of it fits narrower ones too."""

_POOLS = {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
_UNARY = {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh", "Clip"}
_BINARY = {"Add", "Mul"}


def keep_blocked(model: ir.Model) -> ir.Model:
    """Insert such averages where a blocked operand meets a plain one on the way to a convolution."""
    blocked: set[ir.Value] = set()
    anchors: dict[ir.Value, ir.Value] = {}
    for node in list(model.graph):
        if node.domain or not node.inputs:
            continue
        if node.op_type in _UNARY:
            _note_shape(node)
        if _is_blocked_conv(node) or (node.op_type in _POOLS | _UNARY and node.inputs[0] in blocked):
            blocked.add(node.outputs[0])
        elif _same_shapes(node):
            plain = [i for i, v in enumerate(node.inputs) if v not in blocked]
            if len(plain) == 1 and _reaches_conv(node):
                value = node.inputs[plain[0]]
                assert value is not None
                if value not in anchors:
                    anchors[value] = _anchor(model.graph, value, node, len(anchors))
                node.replace_input_with(plain[0], anchors[value])
                plain = []
            if not plain:
                blocked.add(node.outputs[0])
            _note_shape(node)
    return model


def _note_shape(node: ir.Node) -> None:
    """The result has the shape of the operands, which no rule writes down."""
    x, y = node.inputs[0], node.outputs[0]
    if y.shape is None and x is not None and x.shape is not None:
        y.shape = ir.Shape(list(dims(x)))


def _is_blocked_conv(node: ir.Node) -> bool:
    """A two-dimensional float32 convolution with whole blocks of output channels."""
    x, y = node.inputs[0], node.outputs[0]
    if node.op_type != "Conv" or x is None or x.dtype != ir.DataType.FLOAT or y.shape is None:
        return False
    channels = dims(y)[1] if len(dims(y)) == 4 else None
    return isinstance(channels, int) and channels % BLOCK == 0


def _same_shapes(node: ir.Node) -> bool:
    """Whether `node` joins two images of the same sizes, known or of the same name, none of them constant."""
    if node.op_type not in _BINARY or any(v is None or v.shape is None for v in node.inputs):
        return False
    first, second = (dims(v) for v in node.inputs if v is not None)
    return (
        len(first) == 4
        and list(first) == list(second)
        and None not in first
        and all(constant_of(v) is None for v in node.inputs)
    )


def _reaches_conv(node: ir.Node) -> bool:
    """Whether a convolution reads the result, at once or through operators that have a blocked form."""
    seen, front = {node}, [node]
    while front:
        for user, index in front.pop().outputs[0].uses():
            if user.op_type == "Conv" and index == 0:
                return True
            if user.op_type in _UNARY | _BINARY and user not in seen:
                seen.add(user)
                front.append(user)
    return False


def _anchor(graph: ir.Graph, value: ir.Value, before: ir.Node, number: int) -> ir.Value:
    name = f"fluxpath/blocked_{number}"
    attributes = ir.convenience.convert_attributes({"kernel_shape": [1, 1]})
    node = ir.Node("", "AveragePool", [value], attributes, name=name)
    result = node.outputs[0]
    result.name, result.type = name, value.type
    result.shape = ir.Shape(list(dims(value)))
    graph.insert_before(before, node)
    return result
