"""The folder of optimized models: what is in it is used, is made again where damaged, and is never needed."""

from __future__ import annotations

import subprocess
import sys

import models
import numpy as np
import onnx
import pytest

from fluxpath.errors import ArtifactError, InputError
from fluxpath.export import artifact, gradient_from_onnx
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends import optimized

PROGRAM = """
import sys
import numpy as np
from fluxpath.runtime import Explainer
images = np.load(sys.argv[3])
with Explainer(sys.argv[1], cache=sys.argv[2], threads=1) as explainer:
    sys.stdout.buffer.write(explainer.attribute(images).values.tobytes())
"""


def found(path, cache, name="relu"):
    images = models.images(name, 5)
    with Explainer(path, cache=cache, threads=1) as explainer:
        return explainer.attribute(images).values.tobytes() + explainer.predict(images).logits.tobytes()


@pytest.fixture(params=["one file", "two files"])
def path(request, graph, tmp_path, monkeypatch):
    if request.param == "one file":
        return graph("relu")
    monkeypatch.setattr(artifact, "INLINE_LIMIT", 1000)
    monkeypatch.setattr(artifact, "_SMALL", 16)
    onnx.save(models.MODELS["relu"](), tmp_path / "relu.onnx")
    made = gradient_from_onnx(tmp_path / "relu.onnx", tmp_path / "two.grad.onnx").path
    assert made.with_name("two.grad.onnx.data").exists()
    return made


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_second_time_is_the_same_bit_for_bit(path, tmp_path):
    cache = tmp_path / "new" / "cache"
    expected = found(path, None)
    assert found(path, cache) == expected
    kept = files(cache)
    assert len(kept) == 2 and all(name.endswith(".optimized") for name in kept)  # of the gradient, forward
    before = {name: (cache / name).stat().st_mtime_ns for name in kept}
    assert found(path, cache) == expected
    assert {name: (cache / name).stat().st_mtime_ns for name in files(cache)} == before


def test_what_is_in_the_folder_is_what_runs(graph, tmp_path):
    for name in ("sure", "surer"):
        with Explainer(graph(name), cache=tmp_path / name):
            pass
    (kept,), (other,) = (list((tmp_path / name).iterdir()) for name in ("sure", "surer"))
    kept.write_bytes(other.read_bytes())
    images = models.images("sure", 2)
    with Explainer(graph("sure"), cache=tmp_path / "sure") as explainer:
        there = explainer.attribute(images, method="saliency").values
    with Explainer(graph("surer")) as explainer:
        assert np.array_equal(there, explainer.attribute(images, method="saliency").values)
    with Explainer(graph("sure")) as explainer:
        assert not np.array_equal(there, explainer.attribute(images, method="saliency").values)


@pytest.mark.parametrize("damage", [b"", b"x", "cut", "flipped", "no model"])
def test_a_damaged_one_is_made_again(path, tmp_path, damage):
    expected = found(path, tmp_path / "cache")
    for kept in (tmp_path / "cache").iterdir():
        whole = kept.read_bytes()
        if damage == "cut":
            kept.write_bytes(whole[:-100])
        elif damage == "flipped":
            kept.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
        elif damage == "no model":
            optimized._keep(written(tmp_path / "nothing", b"no model"), kept)
        else:
            kept.write_bytes(damage)
    assert found(path, tmp_path / "cache") == expected
    assert found(path, tmp_path / "cache") == expected
    assert len(files(tmp_path / "cache")) == 2


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("where", ["temporary", "kept"])
def test_a_folder_that_cannot_be_written_to_is_done_without(path, tmp_path, monkeypatch, where):
    expected = found(path, None)
    if where == "temporary":
        monkeypatch.setattr(optimized, "temporary_name", lambda: "missing/file")
    else:
        monkeypatch.setattr(optimized, "SUFFIX", "/missing")
    assert found(path, tmp_path / "cache") == expected
    assert files(tmp_path / "cache") == []


def test_another_version_or_processor_has_its_own(graph, tmp_path, monkeypatch):
    for processor in ("a", "b", "a"):
        monkeypatch.setattr(optimized, "_processor", lambda p=processor: p)
        with Explainer(graph("relu"), cache=tmp_path / "cache"):
            pass
    assert len(files(tmp_path / "cache")) == 2


def test_processes_that_start_together(graph, tmp_path):
    np.save(tmp_path / "images.npy", models.images("relu", 3))
    command = [sys.executable, "-c", PROGRAM, graph("relu"), tmp_path / "cache", tmp_path / "images.npy"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    answers = {process.communicate(timeout=120)[0] for process in started}
    assert len(answers) == 1 and len(answers.pop()) == models.images("relu", 3).nbytes
    assert len(files(tmp_path / "cache")) == 1


def test_a_file_is_no_folder(graph, tmp_path):
    with pytest.raises(InputError, match="cannot be a folder"):
        Explainer(graph("relu"), cache=written(tmp_path / "file", b""))


def test_a_model_that_is_too_large_is_not_kept(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(optimized, "_LARGEST", 100)
    with Explainer(graph("relu"), cache=tmp_path):
        pass
    assert files(tmp_path) == []


def test_the_model_itself_is_checked_first(graph, tmp_path):
    path = written(tmp_path / "m.grad.onnx", graph("relu").read_bytes())
    with Explainer(path, cache=tmp_path / "cache"):
        pass
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError):
        Explainer(path, cache=tmp_path / "cache")
