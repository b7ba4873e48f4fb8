"""Alters what an ONNX model says: nodes, attributes, tensors, types and names."""

from __future__ import annotations

import random
from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

NUMBERS = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**40, 2**60, 2**63 - 1)
PLACES = ("/etc/passwd", "../x", "*/_ORT_MEM_ADDR_/*", "")
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))
_NAMES = """
Add Sub Mul Div MatMul Gemm Conv ConvTranspose MaxPool AveragePool Relu Sigmoid Softmax Reshape Transpose
Concat Slice Gather GatherND ScatterElements ScatterND Expand Tile Pad Resize Cast Shape Size ReduceSum
ReduceMax Flatten Identity Squeeze Unsqueeze Split TopK ArgMax OneHot Where CumSum Einsum NonZero Range
ConstantOfShape EyeLike Loop If Scan SequenceAt MaxUnpool GridSample RoiAlign BatchNormalization
LayerNormalization LSTM GRU QuantizeLinear StringNormalizer Optional ImageDecoder NoSuchOperator
"""
OPERATORS = _NAMES.split()


def altered(proto: onnx.ModelProto, rng: random.Random) -> onnx.ModelProto:
    """`proto` with one to three of its parts altered, in place."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(CHANGES)(proto, rng)
    return proto


def _node(proto: onnx.ModelProto, rng: random.Random) -> onnx.NodeProto:
    return rng.choice(proto.graph.node) if proto.graph.node else proto.graph.node.add()


def _tensor(proto: onnx.ModelProto, rng: random.Random) -> onnx.TensorProto:
    tensors = [
        *proto.graph.initializer,
        *(a.t for n in proto.graph.node for a in n.attribute if a.HasField("t")),
    ]
    return rng.choice(tensors) if tensors else proto.graph.initializer.add()


def _names(proto: onnx.ModelProto) -> list[str]:
    return [name for n in proto.graph.node for name in (*n.input, *n.output)] or [""]


def _drop(proto: onnx.ModelProto, rng: random.Random) -> None:
    if proto.graph.node:
        del proto.graph.node[rng.randrange(len(proto.graph.node))]


def _double(proto: onnx.ModelProto, rng: random.Random) -> None:
    proto.graph.node.add().CopyFrom(_node(proto, rng))


def _operator(proto: onnx.ModelProto, rng: random.Random) -> None:
    _node(proto, rng).op_type = rng.choice(OPERATORS)


def _domain(proto: onnx.ModelProto, rng: random.Random) -> None:
    _node(proto, rng).domain = rng.choice(("com.microsoft", "ai.onnx.ml", "ai.onnx", "x", "\x1b[31m"))


def _input(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    if node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*_names(proto), "", "nowhere"])


def _output(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    if node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice([*_names(proto), "", "elsewhere"])


def _further_input(proto: onnx.ModelProto, rng: random.Random) -> None:
    _node(proto, rng).input.append(rng.choice(_names(proto)))


def _attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(proto, rng)
    name = rng.choice([a.name for a in node.attribute] or ["axis"])
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    numbers = [rng.choice(NUMBERS) for _ in range(rng.randrange(1, 6))]
    value = rng.choice((numbers, numbers[0], rng.choice(FLOATS), "text", [0.5, 2.0], None))
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))


def _dims(proto: onnx.ModelProto, rng: random.Random) -> None:
    tensor = _tensor(proto, rng)
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    else:
        tensor.dims.append(rng.choice(NUMBERS))


def _values(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Other values of the same sizes: shapes, axes and indices are such."""
    tensor = _tensor(proto, rng)
    made = rng.choice(NUMBERS) if tensor.data_type == TensorProto.INT64 else rng.randrange(2**31)
    size = {TensorProto.INT64: 8}.get(tensor.data_type, 4)
    data = bytearray(tensor.raw_data)
    if len(data) >= size:
        at = rng.randrange(len(data) // size) * size
        data[at : at + size] = (made % 2 ** (8 * size)).to_bytes(size, "little")
        tensor.raw_data = bytes(data)


def _length(proto: onnx.ModelProto, rng: random.Random) -> None:
    tensor = _tensor(proto, rng)
    tensor.raw_data = rng.choice((tensor.raw_data[:-1], tensor.raw_data + b"\0", b"", tensor.raw_data * 2))


def _element(proto: onnx.ModelProto, rng: random.Random) -> None:
    _tensor(proto, rng).data_type = rng.choice((0, 1, 6, 7, 8, 9, 10, 11, 14, 16, 22, 99))


def _elsewhere(proto: onnx.ModelProto, rng: random.Random) -> None:
    tensor = _tensor(proto, rng)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(PLACES))


def _type(proto: onnx.ModelProto, rng: random.Random) -> None:
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    if values:
        kind = rng.choice(values).type.tensor_type
        if kind.shape.dim and rng.random() < 0.7:
            kind.shape.dim[rng.randrange(len(kind.shape.dim))].dim_value = rng.choice(NUMBERS)
        else:
            kind.elem_type = rng.choice((0, 1, 7, 8, 10, 11, 16, 99))


def _interface(proto: onnx.ModelProto, rng: random.Random) -> None:
    values = rng.choice((proto.graph.input, proto.graph.output))
    if values:
        rng.choice(values).name = rng.choice([*_names(proto), "", "nowhere"])


def _opset(proto: onnx.ModelProto, rng: random.Random) -> None:
    for entry in proto.opset_import:
        entry.version = rng.choice(NUMBERS)


def _within(proto: onnx.ModelProto, rng: random.Random) -> None:
    """A node that runs a copy of the graph."""
    inner = onnx.GraphProto()
    inner.CopyFrom(proto.graph)
    node = proto.graph.node.add(op_type=rng.choice(("If", "Loop", "Scan")), output=["inner"])
    node.input.extend([rng.choice(_names(proto)) for _ in range(rng.randrange(4))])
    for name in ("body", "then_branch", "else_branch"):
        node.attribute.append(helper.make_attribute(name, inner))


CHANGES: tuple[Callable[[onnx.ModelProto, random.Random], None], ...] = (
    _drop, _double, _operator, _domain, _input, _output, _further_input, _attribute, _attribute, _dims,
    _values, _values, _length, _element, _elsewhere, _type, _type, _interface, _opset, _within,
)  # fmt: skip
