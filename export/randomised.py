"""A model whose weights are drawn anew, layer by layer: what parameter randomisation compares with."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from fluxpath.checks import one_of, whole
from fluxpath.errors import ModelError, first_line
from fluxpath.export.gradient_graph import gradient_from_onnx
from fluxpath.export.settings import Options, takes_settings

ORDERS = ("top-down", "bottom-up", "independent")

_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "Gather", "LSTM", "GRU", "RNN"}
"""Operators whose weights are learned; a normalisation keeps its own."""

_PASSED_THROUGH = {"Identity", "Transpose", "Reshape", "Cast", "DequantizeLinear", "Squeeze", "Unsqueeze"}
"""What may lie between stored weights and their layer: its first input is the weights."""


@dataclass(frozen=True)
class Layer:
    """A layer's name, that of its node, and the names of the tensors that are its weights and biases."""

    name: str
    tensors: tuple[str, ...]


@takes_settings
def randomised(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    order: str = "top-down",
    most: int | None = None,
    seed: int = 0,
    **options: Unpack[Options],
) -> Iterator[tuple[str, Path]]:
    """Export `model` with the weights of its layers drawn anew, one file after the other, when asked for.

    Parameter randomisation (MPRT): Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: "Sanity Checks for
    Saliency Maps", NeurIPS 2018. A layer is a convolution, matrix product, embedding or recurrence with
    stored weights; its weights and its biases become normal numbers of the tensor's own mean and deviation,
    so that what follows keeps its scale (torch's `reset_parameters`, which Quantus calls, draws from the
    layer's initial distribution). Normalisations keep their parameters.

    model: an .onnx classifier. folder: where the gradient graphs are written, as "000-NAME.grad.onnx".
    order: "top-down", from the logits to the input, each file with all layers up to its own drawn anew
        (Adebayo's cascade); "bottom-up", from the input on; "independent", each layer alone.
    most: how many files at most, at evenly spaced layers, the last among them; None for one for each layer.
    seed: of the weights; a tensor's numbers depend on it and on the tensor's name alone.
    options: as for `gradient_from_onnx`.

    Gives for each file the name of its last layer, and its path. Raises what `gradient_from_onnx` raises, and
    ModelError for a model without such layers.
    """
    one_of("order", order, ORDERS)
    whole("seed", seed, 0, 2**64 - 1)
    if most is not None:
        whole("most", most, 1)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return _written(_read(Path(model)), Path(model), path, order, most, seed, options)


def _written(
    proto: onnx.ModelProto,
    source: Path,
    folder: Path,
    order: str,
    most: int | None,
    seed: int,
    options: Options,
) -> Iterator[tuple[str, Path]]:
    found = layers(proto)
    if not found:
        raise ModelError(f"'{source}' has no stored weights of convolutions or matrix products to draw anew")
    if order == "top-down":
        found.reverse()
    original = proto.SerializeToString()
    stops = set(np.linspace(0, len(found), min(most or len(found), len(found)) + 1).astype(int)[1:] - 1)
    for number, layer in enumerate(found):
        if order == "independent":
            proto = onnx.load_model_from_string(original)
        redraw(proto, layer.tensors, seed)
        if number in stops:
            target = folder / f"{number:03d}-{_plain(layer.name)}.grad.onnx"
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                drawn = Path(temporary) / "model.onnx"
                onnx.save(proto, drawn)
                gradient_from_onnx(drawn, target, **options)
            yield layer.name, target


def layers(proto: onnx.ModelProto) -> list[Layer]:
    """The layers with stored weights of two or more dimensions, in the order of the graph.

    A tensor that several layers share belongs to each of them.
    """
    stored = _stored(proto)
    makers = {output: node for node in proto.graph.node for output in node.output}
    found = []
    for number, node in enumerate(proto.graph.node):
        if node.op_type not in _LAYERS:
            continue
        origins = [_origin(name, stored, makers) for name in node.input]
        weights = [name for name in origins if name is not None]
        if any(len(stored[name].dims) >= 2 for name in weights):
            found.append(Layer(node.name or f"{node.op_type}_{number}", tuple(weights)))
    return found


def redraw(proto: onnx.ModelProto, tensors: Sequence[str], seed: int) -> None:
    """Put normal numbers of the tensor's own mean and deviation into each of `tensors`, in place."""
    stored = _stored(proto)
    for name in dict.fromkeys(tensors):
        tensor = stored[name]
        values = numpy_helper.to_array(tensor)
        wide = values.astype(np.float64)
        key = np.array([seed, zlib.crc32(name.encode())], np.uint64)
        normal = np.random.Generator(np.random.Philox(key=key)).standard_normal(values.shape)
        drawn = wide.mean() + wide.std() * normal
        if values.dtype.kind in "iu":
            limits = np.iinfo(values.dtype)
            drawn = np.clip(np.rint(drawn), limits.min, limits.max)
        tensor.CopyFrom(numpy_helper.from_array(drawn.astype(values.dtype), tensor.name))


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(f"there is no model file '{path}'")
    try:
        return onnx.inliner.inline_local_functions(onnx.load(path, format="protobuf"))
    except (DecodeError, ValueError, OSError, RuntimeError) as error:
        raise ModelError(f"'{path}' is not a valid ONNX model: {first_line(error)}") from error


def _stored(proto: onnx.ModelProto) -> dict[str, TensorProto]:
    """The graph's constant tensors by name: initializers, and values of Constant nodes."""
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant":
            name = str(node.output[0])
            stored.update((name, a.t) for a in node.attribute if a.name == "value")
    return stored


def _origin(name: str, stored: dict[str, TensorProto], makers: dict[str, onnx.NodeProto]) -> str | None:
    """The stored tensor that a value is, but for its form; None where it is computed, or holds no numbers."""
    while name not in stored:
        node = makers.get(name)
        if node is None or node.op_type not in _PASSED_THROUGH:
            return None
        name = node.input[0]
    tensor = stored[name]
    integers = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING)
    return None if tensor.data_type in integers or not tensor.dims else name


def _plain(name: str) -> str:
    """The name as part of a file's."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name).strip("-")[-60:]
