"""One process of a run, without Ray: parts, what was done before, and a second try at the same."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from clusters import METHOD

from fluxpath.artifact import read_manifest
from fluxpath.errors import InputError
from fluxpath.runtime.bulk.many import head_of
from fluxpath.runtime.ray.names import Names
from fluxpath.runtime.ray.tasks import Task, photo_tasks
from fluxpath.runtime.ray.worker import Run, Worker
from fluxpath.runtime.records.parts import Part


class Model:
    def __init__(self, path):
        self.manifest, self.shape = read_manifest(path), (1, 6, 6)


@pytest.fixture
def worker(graph, tmp_path):
    model = graph("smooth")
    head = head_of(Model(model), (), None, METHOD)

    def made(done=()):
        run = Run(str(model), {"threads": 1}, METHOD, None, head, str(tmp_path))
        return Worker(run, Names.of(done).digests)

    return made


def written(answer):
    return [Part.read(json.loads(text)) for text in answer["part"]]


def batch(names, images):
    return {"name": np.array(list(names), object), "image": images}


def test_a_batch_of_arrays(worker, tmp_path):
    images = np.random.default_rng(0).random((4, 1, 6, 6), np.float32)
    answer = worker(done=["b"])(batch("abcd", images))
    (part,) = written(answer)
    assert (part.images, answer["skipped"], part.failures) == (3, [1], {})
    assert part.bytes == (tmp_path / part.name).stat().st_size
    assert list(pd.read_parquet(tmp_path / part.name)["name"]) == ["a", "c", "d"]
    assert worker(done="b")(batch("abcd", images)) == answer  # done again, by another process


def test_all_was_done(worker, tmp_path):
    answer = worker(done="ab")(batch("ab", np.zeros((2, 1, 6, 6), np.float32)))
    assert [(p.images, p.bytes) for p in written(answer)] == [(0, 0)] and answer["skipped"] == [2]
    assert not list(tmp_path.iterdir())


def test_tasks_and_a_damaged_photo(worker, photos, tmp_path):
    files = [(f.name, f) for f in sorted(photos.rglob("*.png"))[:6]]
    (tmp_path / "bad.png").write_bytes(b"no photo")
    tasks = list(photo_tasks([*files, ("bad\udcff.png", tmp_path / "bad.png")], 4))
    assert [Task.of(task.text()) for task in tasks] == tasks and [len(t) for t in tasks] == [4, 3]
    parts = written(worker()({"task": np.array([task.text() for task in tasks], object)}))
    assert [part.images for part in parts] == [4, 2]
    assert list(parts[1].failures) == ["bad\udcff.png"]


@pytest.mark.parametrize("given", [{"image": np.zeros(1)}, {"name": np.array(["a"])}])
def test_columns_that_are_missing(worker, given):
    with pytest.raises(InputError, match="must have 'image', and 'name' or 'path'"):
        worker()(given)


def test_another_file_on_another_machine(worker, graph):
    made = worker()
    object.__setattr__(made._run, "model", str(graph("relu")))
    with pytest.raises(InputError, match="is another file on one of the machines"):
        made(batch("a", np.zeros((1, 1, 6, 6), np.float32)))


def test_names():
    names = Names.of(f"{i}" for i in range(1000))
    assert len(names) == 1000 and "17" in names and "1000" not in names and "" not in Names.of(())
