"""One process of a run, without Ray: parts, what was done before, and a second try at the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
from clusters import METHOD

from fluxpath.artifact import read_identified, read_manifest
from fluxpath.errors import InputError
from fluxpath.manifest import KEY, UNSEALED
from fluxpath.runtime.bulk.many import head_of
from fluxpath.runtime.ray.names import Names
from fluxpath.runtime.ray.tasks import Task, photo_tasks
from fluxpath.runtime.ray.worker import Run, Worker, images_in
from fluxpath.runtime.records.parts import Part
from fluxpath.seal import seal


class Model:
    def __init__(self, path):
        self.manifest, self.shape = read_manifest(path), (1, 6, 6)


@pytest.fixture
def worker(graph, tmp_path):
    model = graph("smooth")
    head = head_of(Model(model), (), None, METHOD)

    def made(done=()):
        run = Run(str(model), read_identified(model)[1], {"threads": 1}, METHOD, None, head, str(tmp_path))
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


def test_a_file_that_differs_in_its_weights_alone(worker, graph, tmp_path):
    made = worker()
    model = onnx.load(graph("smooth"))
    first = next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
    first.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(first) * 2, first.name))
    entry = next(one for one in model.metadata_props if one.key == KEY)
    entry.value = re.sub('"digest": "[0-9a-f]{64}"', f'"digest": "{UNSEALED}"', entry.value)
    other = tmp_path / "other.grad.onnx"
    other.write_bytes(seal(model.SerializeToString()))
    assert read_manifest(other) == read_manifest(graph("smooth"))
    object.__setattr__(made._run, "model", str(other))
    with pytest.raises(InputError, match="is another file on one of the machines"):
        made(batch("a", np.zeros((1, 1, 6, 6), np.float32)))


GAPS = [[1, None], [1.0, np.nan], [1, pd.NA], np.array([1.0, np.nan], np.float32)]


@pytest.mark.parametrize("column", GAPS, ids=repr)
def test_targets_with_gaps(graph, column):
    images, manifest = np.zeros((2, 1, 6, 6), np.float32), read_manifest(graph("smooth"))
    given = column if isinstance(column, np.ndarray) else np.array(column, object)
    rows = images_in({**batch("ab", images), "target": given}, manifest)
    assert [row[2] for row in rows] == [1, None] and type(rows[0][2]) is int


def test_targets_by_name(graph):
    manifest = replace(read_manifest(graph("smooth")), class_names=None)
    names = (*(f"class {i}" for i in range(manifest.classes - 1)), "dog")
    named = replace(manifest, class_names=names)
    given = batch("ab", np.zeros((2, 1, 6, 6), np.float32)) | {"target": np.array(["dog", None], object)}
    assert [row[2] for row in images_in(given, named)] == [manifest.classes - 1, None]
    with pytest.raises(InputError, match="the file has no class names"):
        images_in(given, manifest)


@pytest.mark.parametrize(
    ("target", "said"),
    [(1.9, "'target' holds 1.9"), (np.inf, "'target' holds inf"), (99, "target 99 is not"),
     (b"x", "target has dtype"), ([1, 2], "target has shape"), (True, "target has dtype bool")],
)  # fmt: skip
def test_targets_that_are_no_class(worker, target, said):
    column = np.empty(1, object)
    column[0] = target
    with pytest.raises(InputError, match=said):
        worker()(batch("a", np.zeros((1, 1, 6, 6), np.float32)) | {"target": column})


def test_targets_are_what_is_explained(worker, tmp_path):
    images = np.random.default_rng(0).random((3, 1, 6, 6), np.float32)
    (part,) = written(worker()(batch("abc", images) | {"target": np.array([0.0, 1.0, np.nan])}))
    assert list(pd.read_parquet(tmp_path / part.name)["target"])[:2] == [0, 1]


def test_names():
    names = Names.of(f"{i}" for i in range(1000))
    assert len(names) == 1000 and "17" in names and "1000" not in names and "" not in Names.of(())
