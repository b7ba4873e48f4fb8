"""Tasks travel as text, and a part has the same name in a later run."""

from __future__ import annotations

from pathlib import Path

from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.ray.tasks import Task, photo_tasks, shard_tasks


def test_photos(photos):
    files = [(path.name, path) for path in sorted(photos.rglob("*.png"))[:5]]
    tasks = list(photo_tasks(files, 2))
    assert [len(task) for task in tasks] == [2, 2, 1]
    assert tasks == list(photo_tasks(files, 2)) and len({task.part for task in tasks}) == 3
    again = Task.of(tasks[0].text())
    assert again == tasks[0]
    items = list(again.items(Preparation((1, 6, 6), 0.0, 1.0)))
    assert [item.name for item in items] == [name for name, _ in files[:2]]
    assert items[0].load().shape == (1, 6, 6)


def test_names_that_are_not_utf_8():
    (task,) = photo_tasks([("\udcff.png", Path("/x.png"))], 9)
    assert Task.of(task.text()) == task


def test_shards(single):
    tasks = list(shard_tasks(single, "all.parquet", 128))
    assert [(task.slice.start, len(task)) for task in tasks] == [(0, 128), (128, 128), (256, 44)]
    assert [Task.of(task.text()) for task in tasks] == tasks
