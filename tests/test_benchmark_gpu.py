"""`benchmarks/gpu.py` without a GPU: the script runs through, at tiny sizes, and its parts count right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_on_cpu import HostDevice

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def test_the_whole_script_runs_on_a_cpu(tmp_path):
    out = tmp_path / "results" / "gpu.json"
    command = [sys.executable, str(FOLDER / "gpu.py"), "--device", "cpu", "--quick", "--out", str(out)]
    # One thread: those of several libraries would wait for each other on a small machine.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "skipped: bandwidth of the fused kernels, which needs a GPU" in ended.stdout
    results = json.loads(out.read_text())["results"]
    sides = {row["side"] for row in results}
    assert {"published", "best eager float32", "Captum float32", "fluxpath TorchScript bfloat16"} <= sides
    assert {"fluxpath ONNX Runtime float32", "fluxpath ONNX Runtime float16"} <= sides
    for row in results:
        assert len(row["seconds"]) == 1 and row["seconds"][0] > 0
        assert (row["outside_graph"] is not None) == row["side"].startswith("fluxpath")
        if row["images"] > 1 and row["method"] != "Integrated Gradients" and row["side"].endswith("float32"):
            assert row["agreement"]["distance"]["1.0"] < 1e-3 and row["agreement"]["equal_steps"] == 1
    for side in sides - {"published", "Captum float32"}:
        kinds = {(row["images"], row["method"]) for row in results if row["side"] == side}
        assert len(kinds) == (6 if side.startswith("fluxpath") else 4), side


def test_out_of_time_it_begins_nothing_and_writes(tmp_path):
    out = tmp_path / "gpu.json"
    more = ["--device", "cpu", "--quick", "--minutes", "0", "--out", str(out)]
    command = [sys.executable, str(FOLDER / "gpu.py"), *more]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "skipped: published, for --minutes 0" in ended.stdout
    report = json.loads(out.read_text())
    assert report["results"] == [] and report["environment"]["device"] == "cpu"


def test_without_a_gpu_it_says_what_to_do():
    command = [sys.executable, str(FOLDER / "gpu.py")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert "use --device cpu --quick to try the script" in ended.stdout


def test_bandwidth_of_lanes_that_go_on(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    parts = pytest.importorskip("gpu_parts")
    monkeypatch.setattr(parts, "ROUNDS", 1)
    found = parts.fused_bandwidth(HostDevice(), slots=2, features=10)
    assert list(found)[-1] == "copy" and len(found) == 10 and min(found.values()) > 0
