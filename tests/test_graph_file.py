"""Tensors in other files, and nodes of other domains, are found in a model's bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from artifacts import fields_of, resealed, with_graph
from cuda_on_cpu import HostDevice
from forgeries import FORGERIES
from onnx import TensorProto, helper

from fluxpath.errors import ArtifactError
from fluxpath.export import artifact, gradient_from_onnx
from fluxpath.graph_file import external_tensors
from fluxpath.runtime import Explainer, OnnxSession
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.seal import seal


def model(tensor: onnx.TensorProto, where: str = "initializer") -> bytes:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    if where == "initializer":
        graph.initializer.append(tensor)
    elif where == "sparse":
        graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor))
    else:
        node = helper.make_node("Constant", [], ["c"], value=tensor)
        for _ in range(3 if where == "deep" else 0):
            inner = helper.make_graph([node], "g", [], [])
            node = helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
        graph.node.append(node)
    return helper.make_model(graph).SerializeToString()


def outside(
    location: str | None = "w", offset: str = "0", length: str = "16", **more: str
) -> onnx.TensorProto:
    tensor = TensorProto(name="t", data_type=1, dims=(2, 2), data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": offset, "length": length, **more}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def test_what_an_export_writes_is_found() -> None:
    (found,) = external_tensors(model(outside(offset="4096")), "w", 5000)
    assert (found.name, found.element, found.dims, found.start, found.end) == ("t", 1, (2, 2), 4096, 4112)
    assert external_tensors(model(TensorProto(name="t", data_type=1)), None, 0) == ()


@pytest.mark.parametrize(
    "tensor",
    [
        *(outside(path) for path in ("/etc/passwd", "./w", "a/../w", "../w", "W", "", "w\0", None)),
        *(outside(offset=offset) for offset in ("-16", "8192", "1", "x", "", str(2**64), "\u0661")),
        *(outside(length=length) for length in ("15", "17", "0", "-1", str(2**62))),
        outside(checksum="0"),
    ],
)
@pytest.mark.parametrize("location", ["w", None])
def test_a_tensor_in_another_place(tensor: onnx.TensorProto, location: str | None) -> None:
    with pytest.raises(ArtifactError):
        external_tensors(model(tensor), location, 5000 if location else 0)


def test_keys_that_occur_twice_and_locations_without_a_mark() -> None:
    twice = outside()
    twice.external_data.add(key="location", value="/etc/passwd")
    unmarked = outside("/etc/passwd")
    unmarked.data_location = TensorProto.DEFAULT
    for tensor in (twice, unmarked):
        with pytest.raises(ArtifactError):
            external_tensors(model(tensor), "w", 5000)


@pytest.mark.parametrize("where", ["sparse", "node", "deep"])
def test_a_tensor_within_a_node(where: str) -> None:
    with pytest.raises(ArtifactError, match="within a node"):
        external_tensors(model(outside(), where), "w", 5000)


def test_fields_that_a_parser_takes_otherwise() -> None:
    """A name in another encoding, which parsers pass over, and a tag of more than 32 bits, which they cut."""
    right = outside().SerializeToString()
    for bytes_ in (right + b"\x40\x05", b"\xfa\x80\x80\x80\x10\x00" + right):
        graph = b"\x2a" + bytes([len(bytes_)]) + bytes_
        with pytest.raises(ArtifactError):
            external_tensors(b"\x3a" + bytes([len(graph)]) + graph, "w", 5000)


@pytest.mark.parametrize("name", ["a node of another domain", "a function", "graphs within graphs"])
def test_what_no_export_writes(graph, tmp_path: Path, name: str) -> None:
    proto = onnx.load(graph("linear"))
    FORGERIES[name](proto, fields_of(proto))
    with pytest.raises(ArtifactError):
        external_tensors(proto.SerializeToString(), None, 0)


def test_weights_that_are_exchanged_after_they_were_checked(graph, tmp_path, monkeypatch) -> None:
    """The file is read once: what was hashed is what runs."""
    monkeypatch.setattr(artifact, "INLINE_LIMIT", 100)
    monkeypatch.setattr(artifact, "_SMALL", 16)
    onnx.save(models.linear(), tmp_path / "m.onnx")
    path = gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "big.onnx").path
    image = models.images("linear", 1)
    with Explainer(graph("linear"), threads=1) as explainer:
        wanted = explainer.attribute(image).values
    weights = tmp_path / "big.onnx.data"
    original, reads = Path.read_bytes, []

    def read(self: Path) -> bytes:
        content = original(self)
        reads.append(self.name)
        if self == weights:
            self.write_bytes(bytes(len(content)))
        return content

    monkeypatch.setattr(Path, "read_bytes", read)
    with Explainer(path, threads=1) as explainer:
        np.testing.assert_array_equal(explainer.attribute(image).values, wanted)
    assert reads.count(weights.name) == 1 and not any(original(weights))


def test_bytes_that_look_like_onnxruntimes_own_format(graph, tmp_path: Path) -> None:
    """Which has its mark where a producer's name can be; the file is still read as ONNX."""
    proto = onnx.load(graph("linear"))
    text = resealed(proto, json.dumps(fields_of(proto)))
    forged = b"\x12\x0a\0\0ORTM\0\0\0\0" + text
    (tmp_path / "g.onnx").write_bytes(seal(forged))
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        assert explainer.attribute(models.images("linear", 1)).values.any()


@pytest.mark.parametrize("wrong", [10**9, -5])
@pytest.mark.parametrize("backend", ["host", "device"])
def test_a_label_that_is_no_class(graph, tmp_path: Path, wrong: int, backend: str) -> None:
    def forge(inner: onnx.GraphProto) -> None:
        last = next(n for n in inner.node if "label" in n.output)
        last.output[:] = ["right" if name == "label" else name for name in last.output]
        inner.initializer.append(onnx.numpy_helper.from_array(np.int64(0), "none"))
        inner.initializer.append(onnx.numpy_helper.from_array(np.int64(wrong), "wrong"))
        inner.node.append(helper.make_node("Mul", ["right", "none"], ["zeros"]))
        inner.node.append(helper.make_node("Add", ["zeros", "wrong"], ["label"]))

    (tmp_path / "g.onnx").write_bytes(with_graph(graph("linear"), forge))
    path = tmp_path / "g.onnx"
    options = Options(providers=("CPUExecutionProvider",), threads=1)
    session = OnnxSession(path) if backend == "host" else OnnxDeviceSession(path, HostDevice(), options)
    with (
        Explainer.from_session(session, slots=2) as explainer,
        pytest.raises(ArtifactError, match=f"predicts the class {wrong}"),
    ):
        explainer.attribute(models.images("linear", 2))


def test_telemetry_is_off_wherever_onnxruntime_is_imported() -> None:
    """Unless the user set the variable."""
    import fluxpath

    package = Path(fluxpath.__file__).parent
    for file in [p for part in ("", "runtime", "export") for p in (package / part).rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        if "import onnxruntime" in text:
            assert text.index("disable_telemetry()") < text.index("import onnxruntime"), file
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
