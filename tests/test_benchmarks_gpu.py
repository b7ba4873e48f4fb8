"""`benchmarks.gpu` without a GPU: every stage runs through, at tiny sizes, and its parts count right."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import HostDevice

from benchmarks.gpu import fatbin, place, prepare, run, sides, stages, summary, timing
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import Explainer

ROOT = Path(__file__).resolve().parents[1]


def ran(stage: str, folder: Path) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """What a stage prints on a CPU, and its rows by name."""
    out = folder / "out" / stage
    command = [sys.executable, "-m", "benchmarks.gpu.run", stage, "120", "--device", "cpu", "--out", str(out)]
    environment = {**os.environ, "FLUXPATH_GPU": str(folder)}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (out / "log.txt").read_text() in ended.stdout
    files = out.glob("*.jsonl")
    return ended.stdout, {f.stem: [json.loads(line) for line in f.read_text().splitlines()] for f in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the stages keep for each other."""
    return tmp_path_factory.mktemp("gpu")


def test_the_first_stage_on_a_cpu(folder):
    printed, rows = ran("first", folder)
    for name in ("gpu tests of the kernels", "gpu tests of the backends", "bandwidth", "memcheck"):
        assert f"skipped: {name}, which needs a GPU" in printed
    assert "MFABA's kernels against the CPU's" in {row["step"] for row in rows["smoke"]}
    assert not [row for name in rows for row in rows[name] if "error" in row], printed
    kinds = {(row["side"], row["method"], row["batch"]) for row in rows["timing"]}
    assert ("captum float32", "Integrated Gradients", "many") in kinds
    assert {("torchscript float32", m, b) for m in sides.METHODS for b in ("one", "many")} <= kinds
    for row in rows["timing"]:
        assert min(row["seconds"]) > 0 and row["agreement"]["rank_correlation"] > 0.99
        if row["side"].endswith("float32"):
            assert row["agreement"]["distance"] < 1e-4 and row["agreement"]["equal_steps"] in (None, 1)
    assert "skipped: torchscript float32 pinned needs a GPU" in printed
    assert printed.count("ms an image") == 1, "the summary has a table for each network"


def test_the_onnx_stage_on_a_cpu(folder):
    printed, rows = ran("onnx", folder)
    assert {row["side"] for row in rows["timing"]} == {"onnxruntime float32", "onnxruntime float16"}, printed
    assert {row["stack"] for row in rows["evaluations"] if "ms" in row} == {"session", "eager"}, printed


def test_the_profile_stage_on_a_cpu(folder):
    printed, rows = ran("profile", folder)
    assert {row["images"] for row in rows["profile"]} == {1, 2} and rows["profile"][0]["kernels"], printed
    assert "skipped: ncu, which needs a GPU" in printed
    assert [row["stack"] for row in rows["evaluations"] if "ms" in row] == ["inductor"], printed


def test_what_the_stages_run_is_there():
    for stage, device in itertools.product(stages.STAGES, ("cpu", "cuda")):
        items = stages.items(stage, device)
        assert len({item.name for item in items}) == len(items)
        for item in items:
            modules = [word for word in item.command if word.startswith("benchmarks.gpu.")]
            for module in modules:
                assert importlib.util.find_spec(module), module
            paths = [word for word in item.command if word.startswith("tests/")]
            assert all((ROOT / path).exists() for path in paths)
    assert set(stages.exports("first", "cuda")) == {"ResNet-20", "ResNet-50"}
    assert "float16.onnx" in stages.exports("onnx", "cuda")["ResNet-50"]


def test_an_item_that_crashes_is_begun_anew_without_the_side(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUXPATH_GPU", str(tmp_path))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    script = "import sys; print('tried', sys.argv[1:]); sys.exit(3)"
    stage = run.Stage("first", 60, "cpu")
    stage.item(stages.Item("crash", (sys.executable, "-c", script), 30, again=True))
    stage.item(stages.Item("slow", (sys.executable, "-c", "import time; time.sleep(60)"), 7))
    stage.item(stages.Item("absent", ("no-such-program",), 7))
    stage.close()
    log = (tmp_path / "out" / "log.txt").read_text()
    assert log.count("tried ['--run', 'first crash") == 3 and log.count("crash returned 3") == 3
    assert "slow ran out of time" in log and "no-such-program is not installed" in log


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_times_are_kept_where_float64_fails(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setenv("FLUXPATH_GPU", str(tmp_path))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setattr(timing.References, "agreement", fail)
    tiny = [
        "--images",
        "2",
        "--device",
        "cpu",
        "--max-steps",
        "1",
        "--seconds",
        "0",
        "--methods",
        "MFABA sharp",
    ]
    timing.main(["tiny", *tiny, "--sides", "eager float32"])
    assert [row["agreement"] for row in place.noted("timing")] == [None, None]
    assert "FAILED float64's MFABA sharp: RuntimeError: out of memory" in capsys.readouterr().out
    summary.main()
    assert "eager float32" in capsys.readouterr().out


def test_a_side_that_began_before_is_passed_over(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLUXPATH_GPU", str(tmp_path))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    place.note("begun", {"run": "now", "side": "eager float32"})
    place.note("begun", {"run": "earlier", "side": "eager float16"})
    tiny = ["--images", "2", "--device", "cpu", "--run", "now", "--until", "0"]
    timing.main(["tiny", *tiny, "--sides", "eager float32", "eager float16"])
    printed = capsys.readouterr().out
    assert "passed over: eager float32" in printed and "no time for eager float16" in printed


def test_a_library_keeps_the_code_of_one_architecture(tmp_path):
    def entry(kind: int, arch: int, fill: bytes) -> bytes:
        return struct.pack("<HHIQ12xI32x", kind, 0, 64, len(fill), arch) + fill

    def binary(*entries: bytes) -> bytes:
        return struct.pack("<IHHQ", fatbin.MAGIC, 1, 16, len(b"".join(entries))) + b"".join(entries)

    mine = entry(fatbin.ELF, 90, b"m" * 24)
    others = [entry(fatbin.ELF, 80, b"o" * 16), entry(1, 90, b"p" * 8)]
    whole = binary(others[0], mine, others[1]) + binary(*others)
    names = b"\0.strings\0.nv_fatbin\0"
    head = struct.pack("<40xQ10xHHH", 64, 64, 2, 0)
    rows = [(1, 192, len(names)), (10, 192 + len(names), len(whole))]
    table = b"".join(struct.pack("<IIQQQQ24x", name, 0, 0, 0, at, size) for name, at, size in rows)
    path = tmp_path / "library.so"
    path.write_bytes(head + table + names + whole)
    kept, length = fatbin.prune(path, 90)
    expected = binary(mine).ljust(len(binary(*others, mine)), b"\0") + binary(*others)
    assert path.read_bytes() == head + table + names + expected
    assert (kept, length) == (len(mine) + len(b"".join(others)), len(whole))
    with pytest.raises(ValueError, match="no machine code for sm_120"):
        fatbin.prune(path, 120)


def test_what_travels_is_listed_with_its_commands(monkeypatch, capsys):
    monkeypatch.setattr(prepare, "_size", lambda folder: 25_000_000)
    monkeypatch.setattr(prepare.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=b"README.md"))
    assert prepare._told(64 * 2**20) == 0
    printed = capsys.readouterr().out
    assert all(f"benchmarks.gpu.run {stage} " in printed for stage in stages.STAGES)
    assert prepare._told(40e6) == 1
    assert "TOO LARGE" in capsys.readouterr().out


def test_words_of_a_side_that_mean_nothing_are_refused():
    for name in ("lazy float32", "eager float8", "eager float32 upside-down"):
        with pytest.raises(ValueError, match=name):
            sides.Side.parse(name)


def test_the_help_names_both_commands():
    command = [sys.executable, "-m", "benchmarks.gpu"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "benchmarks.gpu.prepare" in printed and "benchmarks.gpu.run" in printed


@pytest.mark.zoo  # half a minute of a C++ compiler, for a side that no stage has
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
    bandwidth = pytest.importorskip("benchmarks.gpu.bandwidth")
    monkeypatch.setattr(bandwidth, "ROUNDS", 1)
    found = dict(bandwidth.fused_bandwidth(HostDevice(), slots=2, features=10))
    assert next(iter(found)) == "copy" and len(found) == 16 and min(found.values()) > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_the_published_way_has_batch_normalisations_and_the_best_loop_none():
    resnet20, folding = map(pytest.importorskip, ("benchmarks.resnet20", "fluxpath.bench.folding"))
    plain = resnet20.random()
    trained = resnet20.with_batchnorm(plain)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for model, expected in ((trained, 19), (folding.folded(trained), 0)):
        assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules()) == expected
        torch.testing.assert_close(model(x), plain(x), rtol=0, atol=1e-4)
