"""Models that onnx-ir or the memory cannot hold: a sentence that says what is wrong, and no file."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import onnx
import pytest
import small

from fluxpath.errors import ModelError, VerificationError
from fluxpath.export.reading import load

helper = onnx.helper


def refused(model: onnx.ModelProto, folder: Path, match: str, **settings: object) -> None:
    with pytest.raises((ModelError, VerificationError), match=match):
        small.export(model, folder, **settings)
    assert [p.name for p in folder.iterdir()] == ["model.onnx"]


def test_what_onnx_ir_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(proto: object) -> None:
        raise RuntimeError("at graph") from KeyError("no such thing\nat length")

    monkeypatch.setattr(load.ir, "from_proto", fails)
    refused(small.cnn(), tmp_path, r"the model cannot be read \('no such thing.*\)")


def test_more_classes_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise MemoryError("unable to allocate 3 TiB")

    monkeypatch.setattr(load, "prepare", fails)
    refused(small.cnn(), tmp_path, r"needs more memory than there is \(unable to allocate 3 TiB\)")


def test_an_input_larger_than_memory(tmp_path: Path) -> None:
    text = "s = ReduceMean<keepdims=1>(x, one) y = MatMul(s, v)"
    model = gradcheck.parse(text, "batch,100000000000000", v=(1, 3), one=[1])
    refused(model, tmp_path, "needs more memory than there is|cannot be run")


def test_no_classes(tmp_path: Path) -> None:
    refused(gradcheck.parse("y = MatMul(x, v)", "batch,6", v=(6, 0)), tmp_path, "output 'y' has no classes")


def test_an_output_that_is_the_input(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 6])
    graph = helper.make_graph([], "g", [value], [value])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    refused(model, tmp_path, "output 'x' is an input or a constant")
