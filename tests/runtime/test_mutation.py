"""Hundreds of damaged files. Without a good seal each is refused; with one, the process still lives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import mutations
import pytest
from forgeries import FORGERIES

from fluxpath import errors
from fluxpath.errors import ArtifactError
from fluxpath.runtime import OnnxSession

OWN = {"ok", *(name for name in dir(errors) if name.endswith("Error"))}


@pytest.mark.parametrize("name", ["linear", "smooth"])
@pytest.mark.parametrize("first", range(0, 300, 50))
def test_a_damaged_file_is_refused(graph, tmp_path, name, first):
    data = graph(name).read_bytes()
    file = tmp_path / "damaged.grad.onnx"
    for seed in range(first, first + 50):
        file.write_bytes(mutations.damaged(data, seed))
        with pytest.raises(ArtifactError):
            OnnxSession(file, threads=1)
    file.write_bytes(data)
    OnnxSession(file, threads=1)


def test_every_single_bit_of_a_file_is_under_its_seal(graph, tmp_path):
    """One flip in every 37th byte."""
    data = graph("linear").read_bytes()
    file = tmp_path / "damaged.grad.onnx"
    for place in range(0, len(data), 37):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(ArtifactError):
            OnnxSession(file, threads=1)


@pytest.mark.parametrize("kind", ["bytes", "manifest", "graph"])
@pytest.mark.parametrize("name", ["linear", "relu"])
def test_a_damaged_file_under_a_good_seal_does_not_crash(graph, name, kind):
    """In a process of its own: onnxruntime's parser is the one that sees these."""
    assert {"ok", "ArtifactError"} <= outcomes(graph(name), kind, 150)


def test_forged_files_do_not_crash(graph):
    """As somebody writes them who knows the format."""
    assert {"ArtifactError", "FluxpathError", "OutOfMemoryError"} <= outcomes(
        graph("linear"), "forged", len(FORGERIES)
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_damaged_script_under_a_good_seal_does_not_crash(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import torch_modules as modules

    from fluxpath.export import gradient_from_torch

    path = gradient_from_torch(modules.made(modules.tiny), torch.zeros(1, 6), tmp_path / "g.pt").path
    assert {"ok", "ArtifactError"} <= outcomes(path, "script", 100)


def outcomes(path, kind, count):
    """What becomes of so many mutations in a process of their own, which none may end."""
    command = [sys.executable, mutations.__file__, str(path), kind, "0", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"seed"')]
    assert done.returncode == 0, f"mutation {lines[-1:]} ended the process: {done.stderr[-2000:]}"
    found = {line["seed"]: line["outcome"] for line in lines if "outcome" in line}
    assert len(found) == count
    print(path.name, kind, Counter(found.values()))
    assert {seed: o for seed, o in found.items() if o not in OWN} == {}
    return set(found.values())
