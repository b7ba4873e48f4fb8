"""One process of a bulk run: an `Explainer`, which writes part after part."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.many import attribute_many
from fluxpath.runtime.bulk.sinks.parquet import Parquet
from fluxpath.runtime.bulk.sinks.stacked import StackedSink
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.inputs import as_targets
from fluxpath.runtime.methods import Method
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.ray.cluster import need_ray
from fluxpath.runtime.ray.names import Names
from fluxpath.runtime.ray.tasks import Task, part_named
from fluxpath.runtime.records.held import InUseError
from fluxpath.runtime.records.parts import Part
from fluxpath.runtime.records.rows import Head

PATIENCE = 60.0
"""Seconds for the process that wrote to a part before, and was given up, to be gone."""


@dataclass(frozen=True)
class Run:
    """What all processes of a run share.

    digest: SHA-256 of the model's file. options: of `Explainer`. out: the folder of the parts.
    """

    model: str
    digest: str
    options: Mapping[str, Any]
    method: Method
    target: int | None
    head: Head
    out: str


class Worker:
    """Called with a batch of tasks, or of images; answers with a row for each part that it wrote.

    The file is opened at the first call, whose error then is the run's; Ray would try to start a process
    again and again. done: images to pass over, as `Names.digests`, or what `ray.get` gets it by.
    """

    def __init__(self, run: Run, done: Any) -> None:
        self._run = run
        self._done = Names(done if isinstance(done, np.ndarray) else need_ray().get(done))
        self._explainer: Explainer | None = None

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        """Columns `part`, as JSON, and `skipped`, how many images were passed over."""
        explainer = self._opened()
        if "task" in batch:
            photos = Preparation.of(explainer.manifest, explainer.shape)
            tasks = [Task.of(text) for text in batch["task"]]
            found = [self._written(task.part, task.items(photos)) for task in tasks]
        else:
            rows = images_in(batch, explainer.manifest)
            fresh = [row for row in rows if row[0] not in self._done]
            found = [self._written(part_named(*(row[0] for row in fresh)), fresh)]
            found = [(part, skipped + len(rows) - len(fresh)) for part, skipped in found]
        return {
            "part": [json.dumps(part.entry()) for part, _ in found],
            "skipped": [skipped for _, skipped in found],
        }

    def _opened(self) -> Explainer:
        if self._explainer is None:
            run = self._run
            explainer = Explainer(run.model, **run.options)
            if explainer.sha256 != run.digest:
                explainer.close()
                raise InputError(
                    f"'{run.model}' is another file on one of the machines: give all of them the same"
                )
            self._explainer = explainer
        return self._explainer

    def _written(self, name: str, source: Iterable[Any]) -> tuple[Part, int]:
        """The part, and how many images were passed over."""
        path = Path(self._run.out, name)
        sink = _PartSink(self._sink(path), self._done)
        summary = attribute_many(
            self._opened(), source, sink, target=self._run.target, method=self._run.method, progress=False
        )
        images = summary.written + sink.kept
        size = path.stat().st_size if images else 0
        return Part(name, images, size, summary.failures), summary.skipped - sink.kept

    def _sink(self, path: Path) -> StackedSink:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return StackedSink(path, Parquet(), self._run.head, resume=True)
            except InUseError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


class _PartSink:
    """The part's sink, and no file where the part would have no image.

    kept: images that the part has already, of a process that ended, or of a run.
    """

    def __init__(self, sink: StackedSink, done: Names) -> None:
        self._sink, self._names = sink, done
        self.kept = self._wrote = 0

    def done(self, name: str) -> bool:
        """See `Sink`."""
        if self._sink.done(name):
            self.kept += 1
            return True
        return name in self._names

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> None:
        """See `Sink`."""
        self._sink.write(name, image, result)
        self._wrote += 1

    def close(self) -> None:
        """See `Sink`."""
        if self._wrote + self.kept:
            self._sink.close()
        else:
            self._sink.abandon()

    def abandon(self) -> None:
        """See `Sink`."""
        self._sink.abandon()


def images_in(batch: Mapping[str, npt.NDArray[Any]], manifest: Manifest) -> list[tuple[Any, ...]]:
    """The rows of a dataset as (name, image, target), with names from `name` or else `path`.

    InputError for columns that are missing, and for a target that is no class of the model.
    """
    key = next((k for k in ("name", "path") if k in batch), None)
    if key is None or "image" not in batch:
        raise InputError(
            f"the dataset has the columns {', '.join(sorted(batch))}, and must have 'image', and 'name' or "
            "'path'"
        )
    names = [str(name) for name in batch[key]]
    images = [_image(image) for image in batch["image"]]
    targets = [_target(target, manifest) for target in batch.get("target", [None] * len(names))]
    return list(zip(names, images, targets, strict=True))


def _target(target: Any, manifest: Manifest) -> int | None:
    """The class, by number or by name; None for a gap, which turns a column of integers into floats."""
    import pandas as pd  # which Ray's datasets need; a gap in its own types is neither None nor NaN

    if np.ndim(target) == 0 and pd.isna(target):
        return None
    if isinstance(target, np.generic):
        target = target.item()
    if isinstance(target, float):
        if not target.is_integer():
            raise InputError(f"the column 'target' holds {target}, which is no class: give numbers or names")
        target = int(target)
    return int(as_targets(target, 1, manifest.classes, manifest.class_names)[0])


def _image(image: Any) -> Any:
    """Bytes of a photo, or an array; numbers of other kinds than float and uint8 are not guessed at."""
    if isinstance(image, dict):
        image = image.get("bytes")
    return image if isinstance(image, bytes) else np.asarray(image)
