"""Gradient graphs on disk: one sealed file, or a second one for weights beyond protobuf's 2 GB."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from fluxpath import manifest as contract
from fluxpath.artifact import read_sealed
from fluxpath.errors import ArtifactError
from fluxpath.files import WEIGHTS, replacing_model
from fluxpath.manifest import Manifest, Weights
from fluxpath.seal import seal

INLINE_LIMIT = 2**31 - 2**24
"""Weights up to this many bytes stay in the file itself; protobuf ends at 2 GiB, the rest is for nodes."""

_SMALL = 1024
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
"""What moves: floating tensors of at least so many bytes. Shapes and axes are needed to read the graph."""

_ALIGNMENT = 4096
"""Offsets are multiples of this, so that a runtime can map the weights into memory."""


def write(proto: onnx.ModelProto, manifest: Manifest, path: Path) -> Manifest:
    """Write the sealed gradient graph, whole or not at all, and return the manifest that is in it.

    Where the weights are too large for one file, a second one, `path` with ".data" appended, holds them;
    its SHA-256 is in the manifest. ModelError where the folder cannot be written to.
    """
    if not too_large(proto):
        _put(proto, manifest, path)
        return manifest
    data = path.with_name(path.name + WEIGHTS)
    with replacing_model(data) as temporary:
        stub, digest = split(proto, temporary, data.name)
    manifest = replace(manifest, weights=Weights(data.name, digest))
    try:
        _put(stub, manifest, path)
    except BaseException:
        data.unlink()
        raise
    return manifest


def read(path: Path) -> tuple[onnx.ModelProto, Manifest]:
    """A gradient graph that `write` wrote, with its weights; ArtifactError where it is not intact."""
    file = read_sealed(path)
    try:
        proto = onnx.load_model_from_string(file.data)
    except DecodeError as error:
        raise ArtifactError(f"'{path}' is sealed but no ONNX model: export the model again") from error
    external = {t.name: t for t in file.external}
    for tensor in proto.graph.initializer:
        if tensor.name in external:
            place = external[tensor.name]
            tensor.raw_data = file.weights[place.start : place.end]
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return proto, file.manifest


def too_large(proto: onnx.ModelProto) -> bool:
    """Whether the weights have to go to a second file."""
    return sum(len(t.raw_data) for t in proto.graph.initializer) > INLINE_LIMIT


def split(proto: onnx.ModelProto, data: Path, location: str) -> tuple[onnx.ModelProto, str]:
    """Write the large tensors of `proto` to `data`; a copy that refers to `location`, and their SHA-256."""
    stub = onnx.ModelProto(ir_version=proto.ir_version, producer_name=proto.producer_name)
    stub.doc_string = proto.doc_string
    stub.opset_import.extend(proto.opset_import)
    stub.graph.name = proto.graph.name
    stub.graph.node.extend(proto.graph.node)
    stub.graph.input.extend(proto.graph.input)
    stub.graph.output.extend(proto.graph.output)
    stub.graph.value_info.extend(proto.graph.value_info)
    digest, offset = hashlib.sha256(), 0
    with data.open("wb") as file:
        for tensor in proto.graph.initializer:
            if len(tensor.raw_data) < _SMALL or tensor.data_type not in _FLOATS:
                stub.graph.initializer.append(tensor)
                continue
            filler = bytes(-offset % _ALIGNMENT)
            offset += len(filler)
            for part in (filler, tensor.raw_data):
                file.write(part)
                digest.update(part)
            reference = stub.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims
            )
            reference.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", offset), ("length", len(tensor.raw_data))):
                reference.external_data.add(key=key, value=str(value))
            offset += len(tensor.raw_data)
    return stub, digest.hexdigest()


_MEANING = {
    contract.TARGET: "the class to explain, [batch]; negative: the predicted one",
    contract.SCORE: "the {objective} of the target, [batch]",
    contract.LABEL: "the predicted class, [batch]",
    contract.GRADIENT: "the derivative by {input}, but for the factor scale[b] of each row b",
    contract.SCALE: "what the gradient is to be multiplied by, [batch]",
}
"""What stands beside the inputs and outputs of a gradient graph; a model's further ones are its own."""


def _describe(proto: onnx.ModelProto, manifest: Manifest) -> None:
    bounds = "" if manifest.low is None else f", at least {manifest.low:g}, at most {manifest.high:g}"
    found = "the derivative" if manifest.rules == "gradient" else "DeepLIFT's multipliers"
    proto.doc_string = (
        f"A classifier of {manifest.classes} classes and {found} of its {manifest.objective} by "
        f"'{manifest.input}', in {manifest.precision}, written by fluxpath."
    )
    for value in (*proto.graph.input, *proto.graph.output):
        meaning = _MEANING.get(value.name, "an input or output of the model itself")
        if value.name == manifest.input:
            meaning = f"what is explained, the batch first{bounds}"
        value.doc_string = meaning.format(objective=manifest.objective, input=manifest.input)


def _put(proto: onnx.ModelProto, manifest: Manifest, path: Path) -> None:
    if manifest.method is None:
        _describe(proto, manifest)
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = contract.KEY, manifest.to_json()
    with replacing_model(path) as temporary:
        temporary.write_bytes(seal(proto.SerializeToString()))
