"""Hundreds of damaged files. Without a good seal each is refused; with one, the process still lives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import mutations
import pytest

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


@pytest.mark.parametrize("kind", mutations.KINDS)
@pytest.mark.parametrize("name", ["linear", "relu"])
def test_a_damaged_file_under_a_good_seal_does_not_crash(graph, name, kind):
    """In a process of its own: onnxruntime's parser is the one that sees these."""
    command = [sys.executable, mutations.__file__, str(graph(name)), kind, "0", "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"seed"')]
    assert done.returncode == 0, f"mutation {lines[-1]} ended the process: {done.stderr[-2000:]}"
    outcomes = {line["seed"]: line["outcome"] for line in lines if "outcome" in line}
    assert len(outcomes) == 150
    print(name, kind, Counter(outcomes.values()))
    assert {seed: o for seed, o in outcomes.items() if o not in OWN} == {}
    assert {"ok", "ArtifactError"} <= set(outcomes.values())
