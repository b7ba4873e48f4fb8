"""Weights too large for one file: a second one, sealed with the first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import relu
from onnx import TensorProto

from fluxpath.artifact import read_manifest
from fluxpath.errors import ArtifactError, ModelError
from fluxpath.export import artifact, attribution_from_onnx, gradient_from_onnx, verify
from fluxpath.runtime import Explainer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A forward model whose own weights lie in a second file."""
    path = tmp_path / "model.onnx"
    onnx.save(relu(), path, save_as_external_data=True, location="model.bin", size_threshold=0)
    return path


@pytest.fixture
def split_export(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(artifact, "INLINE_LIMIT", 1000)
    monkeypatch.setattr(artifact, "_SMALL", 16)
    folder = tmp_path / "out"
    folder.mkdir()
    return gradient_from_onnx(model, folder / "big.grad.onnx").path


def test_both_ways_of_writing_give_the_same_attributions(model, split_export, tmp_path):
    assert sorted(p.name for p in split_export.parent.iterdir()) == ["big.grad.onnx", "big.grad.onnx.data"]
    stored = onnx.load(split_export, load_external_data=False).graph.initializer
    assert any(t.data_location == TensorProto.EXTERNAL for t in stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact, "INLINE_LIMIT", 10**9)
        one = gradient_from_onnx(model, tmp_path / "one.grad.onnx").path
    assert not (tmp_path / "one.grad.onnx.data").exists()
    with Explainer(split_export) as two_files, Explainer(one) as one_file:
        images = np.random.default_rng(0).random((3, *one_file.shape)).astype(np.float32)
        np.testing.assert_array_equal(two_files.attribute(images).values, one_file.attribute(images).values)


def test_the_pair_moves_together_and_verifies(split_export, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(split_export.parent, moved)
    assert verify(moved / split_export.name).typical < 1e-4


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_damaged_weights_are_an_error(split_export, damage):
    data = split_export.with_name(split_export.name + ".data")
    content = bytearray(data.read_bytes())
    if damage == "missing":
        data.unlink()
    elif damage == "truncated":
        data.write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    with pytest.raises(ArtifactError, match="the weights in"):
        Explainer(split_export)
    with pytest.raises(ArtifactError, match="the weights in"):
        verify(split_export)


def test_nothing_is_left_where_the_folder_cannot_be_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "INLINE_LIMIT", 1000)
    with pytest.raises(ModelError, match="cannot write to the folder"):
        gradient_from_onnx(model, tmp_path / "none" / "big.grad.onnx")
    assert not (tmp_path / "none").exists()


def test_a_gradient_graph_says_what_it_takes_and_gives(graph: Callable[..., Path]) -> None:
    proto, manifest = artifact.read(graph("smooth"))
    assert "4 classes" in proto.doc_string and manifest.objective in proto.doc_string
    told = {v.name: v.doc_string for v in (*proto.graph.input, *proto.graph.output)}
    assert all(told.values())
    assert "at least 0, at most 1" in told["image"] and "image" in told["gradient"]


@pytest.mark.parametrize(
    "name", ["victim.jpg", "ex.txt", "graph", "graph.PT", "notes.data", "model.onnx.bak"]
)
@pytest.mark.parametrize("there", [True, False])
def test_an_export_has_the_suffix_of_one(model: Path, tmp_path: Path, name: str, there: bool) -> None:
    path = tmp_path / name
    if there:
        path.write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"ends in \.onnx, or of a torch module in \.pt"):
        gradient_from_onnx(model, path)
    with pytest.raises(ModelError, match=r"ends in \.onnx"):
        attribution_from_onnx(model, path)
    assert path.exists() == there and (not there or path.read_bytes() == b"mine")


@pytest.mark.parametrize("way", [gradient_from_onnx, attribution_from_onnx])
def test_an_export_replaces_exports_only(model: Path, tmp_path: Path, way: Callable[..., object]) -> None:
    foreign = tmp_path / "other.onnx"
    foreign.write_bytes(relu().SerializeToString())
    before = foreign.read_bytes()
    with pytest.raises(ModelError, match="fluxpath did not write it"):
        way(model, foreign)
    assert foreign.read_bytes() == before
    ours = tmp_path / "ours.onnx"
    ours.touch()  # nothing is lost with an empty file
    way(model, ours)
    ours.write_bytes(ours.read_bytes()[:200] + b"damaged" + ours.read_bytes()[200:])
    way(model, ours)
    assert read_manifest(ours, None).shape


def test_a_second_file_of_others_is_not_replaced(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "INLINE_LIMIT", 1000)
    monkeypatch.setattr(artifact, "_SMALL", 16)
    foreign = tmp_path / "big.onnx.data"
    foreign.write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"big\.onnx\.data' would be replaced"):
        gradient_from_onnx(model, tmp_path / "big.onnx")
    assert foreign.read_bytes() == b"mine" and not (tmp_path / "big.onnx").exists()
    foreign.unlink()
    for _ in range(2):  # the second time, both files are replaced
        gradient_from_onnx(model, tmp_path / "big.onnx")
    assert verify(tmp_path / "big.onnx").typical < 1e-4
