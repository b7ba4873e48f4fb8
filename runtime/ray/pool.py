"""The processes of a bulk run, as Ray Data's pool of actors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fluxpath.errors import InputError
from fluxpath.runtime.ray.names import Names
from fluxpath.runtime.ray.tasks import Task, shard_tasks
from fluxpath.runtime.ray.worker import Run, Worker

TASKS = 4
"""Parts of a small data set for each process, so that all have work until the end."""


class Pool:
    """Makes parts of tasks or images.

    workers: how many processes; None for as many as the cluster's CPUs, or GPUs, allow.
    """

    def __init__(
        self, ray: Any, run: Run, done: Names, workers: int | None, cpus: float, gpus: float
    ) -> None:
        import ray.data as data

        context = data.DataContext.get_current()
        context.enable_progress_bars = False  # fluxpath's own says more
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        self._ray, self._data, self._run = ray, data, run
        self._needs = {"num_cpus": cpus, "num_gpus": gpus}
        self._done = ray.put(done.digests)
        self._given = workers
        self.workers = workers or self._room(cpus, gpus)

    def share(self, images: int, most: int, asked: int | None) -> int:
        """How many images a part has, so that all processes have some."""
        return asked or max(1, min(most, -(-images // (TASKS * self.workers))))

    def planned(self, shards: list[tuple[str, Path]], most: int) -> list[Task]:
        """The tasks of all shards, which processes of the cluster look through."""

        def plan(row: dict[str, str]) -> list[dict[str, str]]:
            return [{"task": task.text()} for task in shard_tasks(Path(row["path"]), row["name"], most)]

        rows = [{"name": name, "path": str(path.resolve())} for name, path in shards]
        found = self._data.from_items(rows, override_num_blocks=min(len(rows), 1000)).flat_map(plan)
        return sorted((Task.of(row["task"]) for row in found.iter_rows()), key=_place)

    def tasks(self, tasks: list[Task]) -> tuple[Iterator[dict[str, Any]], int]:
        """Rows of `Worker`, as parts become complete, and the number of images."""
        if not tasks:
            return iter(()), 0
        # A block for each, so that each is told of, and done again, by itself.
        given = self._data.from_items([{"task": t.text()} for t in tasks], override_num_blocks=len(tasks))
        return self._worked(given, 1, min(self.workers, len(tasks))), sum(map(len, tasks))

    def images(self, dataset: Any, most: int) -> Iterator[dict[str, Any]]:
        """The same, of a dataset's rows."""
        # Where nothing else was asked for, one core is left to what reads the dataset.
        count = self.workers if self._given else max(1, self.workers - 1)
        return self._worked(dataset, most, count)

    def _worked(self, dataset: Any, size: int, count: int) -> Iterator[dict[str, Any]]:
        results = dataset.map_batches(
            Worker,
            fn_constructor_args=(self._run, self._done),
            batch_size=size,
            batch_format="numpy",
            zero_copy_batch=True,
            compute=self._data.ActorPoolStrategy(size=count),
            **self._needs,
        )
        rows: Iterator[dict[str, Any]] = results.iter_rows()
        return rows

    def _room(self, cpus: float, gpus: float) -> int:
        there = self._ray.cluster_resources()
        pairs = (("CPU", cpus), ("GPU", gpus))
        room = [int(there.get(kind, 0) // each) for kind, each in pairs if each > 0]
        if not room or min(room) < 1:
            raise InputError(
                f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, and a "
                f"process is to have {cpus:g} and {gpus:g}: ask for less, or say how many workers"
            )
        return min(room)


def _place(task: Task) -> tuple[str, int]:
    return ("", 0) if task.slice is None else (task.slice.name, task.slice.start)
