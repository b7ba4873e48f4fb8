"""Evaluations measured on a small file: what is measured, and that nothing stays behind."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import pytest
from small import cnn, export

from fluxpath.errors import InputError
from fluxpath.runtime import profiling
from fluxpath.runtime.lanes import Lanes


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiling")
    export(cnn(), folder)
    return folder / "model.grad.onnx"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(profiling, "SECONDS", 0.0)


def test_every_batch_is_timed(path):
    assert all(seconds > 0 for seconds in profiling.timed(path, (1, 3), threads=1).values())


def test_the_profile_has_the_nodes_and_leaves_no_file(path, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nodes = profiling.profiled(path, 3, threads=1)
    assert {"Conv", "Gemm"} <= {node.op_type for node in nodes}
    assert all(node.shape[0] == 3 for node in nodes if node.op_type == "Conv")
    assert list(tmp_path.iterdir()) == []


def test_open_sizes_are_refused(tmp_path):
    export(cnn(dims="batch,3,h,w"), tmp_path)
    with pytest.raises(InputError, match="leaves sizes of its input open"):
        profiling.timed(tmp_path / "model.grad.onnx", (1,))


def test_a_slot_s_bytes_are_those_of_the_lanes_arrays(path):
    from fluxpath.artifact import read_manifest

    manifest = read_manifest(path)
    rows = 5 * 48 * 4 + 6 * 4 + 4 * 8 + 3 * 4 + 5 * 4
    assert profiling.slot_bytes(manifest) == rows
    assert Lanes(7, (3, 4, 4), 0.0, 1.0, output=5).bytes == 7 * rows
    with pytest.raises(InputError):
        profiling.slot_bytes(replace(manifest, shape=(3, None, 4)))
