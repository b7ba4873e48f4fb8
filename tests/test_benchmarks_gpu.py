"""`python -m benchmarks.gpu` without a GPU: it runs through, at tiny sizes, and its parts count right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import HostDevice

from fluxpath.export import gradient_from_torch
from fluxpath.runtime import Explainer

ROOT = Path(__file__).resolve().parents[1]
GPU = [sys.executable, "-m", "benchmarks.gpu"]


def test_the_whole_script_runs_on_a_cpu(tmp_path):
    out = tmp_path / "results" / "gpu.json"
    command = [*GPU, "--device", "cpu", "--quick", "--out", str(out)]
    # One thread: those of several libraries would wait for each other on a small machine.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "skipped: bandwidth of the fused kernels, which needs a GPU" in ended.stdout
    results = json.loads(out.read_text())["results"]
    sides = {row["side"] for row in results}
    assert {"published", "best eager float32", "Captum float32", "fluxpath TorchScript bfloat16"} <= sides
    assert {"fluxpath ONNX Runtime float32", "fluxpath ONNX Runtime float16"} <= sides
    assert "fluxpath AOTInductor, any batch, float32" in sides, ended.stdout
    assert "fluxpath TorchScript float32, channels-last" in sides, ended.stdout
    for row in results:
        assert len(row["seconds"]) == 1 and row["seconds"][0] > 0
        assert (row["outside_graph"] is not None) == row["side"].startswith("fluxpath")
        if row["images"] > 1 and row["method"] != "Integrated Gradients" and "float32" in row["side"]:
            assert row["agreement"]["distance"]["1.0"] < 1e-3 and row["agreement"]["equal_steps"] == 1
    for side in sides - {"published", "Captum float32"}:
        kinds = {(row["images"], row["method"]) for row in results if row["side"] == side}
        assert len(kinds) == (6 if side.startswith("fluxpath") else 4), side


def test_out_of_time_it_begins_nothing_and_writes(tmp_path):
    out = tmp_path / "gpu.json"
    more = ["--device", "cpu", "--quick", "--minutes", "0", "--out", str(out)]
    command = [*GPU, *more]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "skipped: published, for --minutes 0" in ended.stdout and "nothing was measured" in ended.stdout
    report = json.loads(out.read_text())
    assert report["results"] == [] and report["environment"]["device"] == "cpu"


def test_without_a_gpu_it_says_what_to_do():
    command = GPU
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert "use --device cpu --quick to try the script" in ended.stdout


def test_a_side_that_cannot_be_built_says_why(tmp_path):
    out = tmp_path / "gpu.json"
    command = [*GPU, "--device", "cpu", "--quick", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CXX": "/bin/false"}
    command += ["--sides", "AOTInductor"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "skipped: fluxpath AOTInductor, any batch, float32 (" in ended.stdout
    assert "No working C++ compiler found" in ended.stdout and "nothing was measured" in ended.stdout


@pytest.mark.filterwarnings("ignore")  # torch's compiler has warnings of its own
def test_packages_of_certain_sizes_on_the_lanes_own_memory(tmp_path):
    """Batches are rounded up to 1 or 4; what is evaluated beyond a request changes nothing."""
    packages = pytest.importorskip("benchmarks.gpu.aotinductor")
    subject = packages.Subject("tiny", torch_modules.made(torch_modules.tiny), (6,))
    script, path = tmp_path / "tiny.grad.pt", tmp_path / "4.pt2"
    example = torch.zeros(1, 6)
    gradient_from_torch(subject.module, example, script, precision="float16", gradient_dtype="float16")
    packages.build(subject, path, "cpu", "float16", 4)
    session = packages.PackagedDeviceSession(script, {4: path}, HostDevice())
    # A second package would take the compiler as long again.
    alike = packages.TorchScriptSession(script)._module
    counts = []
    for size, package in ((1, alike), (4, session._packages[4])):
        session._packages[size] = lambda x, target, on=package: counts.append(len(x)) or on(x, target)
    images = np.random.default_rng(0).random((7, 6)).astype(np.float32)
    with Explainer.from_session(session, slots=4) as there, Explainer(script, threads=1) as here:
        for given in (images, images[:1], images[:3], images[2:5]):
            found, expected = there.attribute(given), here.attribute(given)
            np.testing.assert_array_equal(found.label, expected.label)
            np.testing.assert_array_equal(found.steps, expected.steps)
            np.testing.assert_allclose(found.score, expected.score, rtol=1e-2)
            np.testing.assert_allclose(found.values, expected.values, rtol=1e-2, atol=1e-3)
    assert set(counts) == {1, 4} and session._graphs


def test_bandwidth_of_lanes_that_go_on(monkeypatch):
    parts = pytest.importorskip("benchmarks.gpu.parts")
    monkeypatch.setattr(parts, "ROUNDS", 1)
    found = parts.fused_bandwidth(HostDevice(), slots=2, features=10)
    assert list(found)[-1] == "copy" and len(found) == 10 and min(found.values()) > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_the_published_way_has_batch_normalisations_and_the_best_loop_none():
    resnet20, eager = (pytest.importorskip(f"benchmarks.{name}") for name in ("resnet20", "eager"))
    plain = resnet20.random()
    trained = resnet20.with_batchnorm(plain)
    folded = eager.folded(trained)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    called = {node.target for node in folded.graph.nodes if node.op == "call_module"}
    for model, expected in ((trained, 19), (folded, 0)):
        modules = dict(model.named_modules())
        names = modules if model is trained else called
        assert sum(isinstance(modules[name], torch.nn.BatchNorm2d) for name in names) == expected
        torch.testing.assert_close(model(x), plain(x), rtol=0, atol=1e-4)
