"""A data set of any size on a Ray cluster, into a folder of Parquet parts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fluxpath.artifact import read_identified
from fluxpath.checks import number, whole
from fluxpath.errors import InputError
from fluxpath.files import as_path
from fluxpath.manifest import Manifest
from fluxpath.progress import Progress
from fluxpath.runtime.bulk.many import Summary, head_of, settled
from fluxpath.runtime.bulk.shards import no_image_in
from fluxpath.runtime.bulk.sources import named_in, photos_in, shards_of
from fluxpath.runtime.inputs import as_method, as_targets
from fluxpath.runtime.methods import Method
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.preparation.sizes import resolved_shape
from fluxpath.runtime.ray.cluster import cluster, need_ray, told
from fluxpath.runtime.ray.leftovers import tidy
from fluxpath.runtime.ray.names import Names
from fluxpath.runtime.ray.pool import Pool
from fluxpath.runtime.ray.tasks import Task, photo_tasks
from fluxpath.runtime.ray.worker import Run
from fluxpath.runtime.records.parts import Part, Parts

PART_BYTES = 256 * 2**20
"""Of the attributions in a part, unless its number of images is given."""


@dataclass
class _Model:
    """What the file says; nothing is run in this process."""

    manifest: Manifest
    shape: tuple[int, ...]


def explain(
    source: Any,
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    address: str | None = None,
    target: int | str | None = None,
    method: Method | str | None = None,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float | None = None,
    part: int | None = None,
    resume: bool = True,
    progress: bool = True,
    **options: Any,
) -> Summary:
    """Attribute any number of images on a Ray cluster, and write them as Parquet into the folder `out`.

    source: a path, of a photo, a Parquet file or a WebDataset's tar, or a folder of these; or a Ray dataset
        with the columns `image` (a photo's file as bytes, uint8 levels, or the model's input), `name` or
        `path`, which are distinct, and optionally `target`, the number or the name of a class; what has none
        there (None, NaN) gets the `target` below.
    model: a file that `fluxpath.export` wrote. It, a path in `source`, and `out` must be the same on every
        machine.
    out: a folder for one Parquet file per part, with the columns of a `.parquet` sink, and `_manifest.jsonl`,
        which lists the parts that are complete. New, empty, or with `resume` one that an equal run wrote, of
        which only what is missing is done.
    address: of the cluster: "local" for one of this machine's cores, HOST:PORT, or "auto"; None for what is
        connected already, else "auto".
    target, method: as for `Explainer.submit`, for every image.
    workers: processes, each with an `Explainer`; None for as many as the cluster has room for.
    cpus, gpus: what Ray reserves for each. `cpus` is also its number of threads, at least one. `gpus` is 1
        where `device` is a GPU, and otherwise 0.
    part: images in a part, at most; None for 256 MiB of attributions.
    options: device, slots, trust and others of `Explainer`.

    Only paths go through Ray's object store, unless `source` is a dataset. A part that a process was at when
    it ended is finished by another, which goes on after the last image that was written. A damaged image does
    not stop the run; the `Summary` names it, and a later run tries it again. Raises ProviderError without
    Ray; InputError for an address without a cluster, wrong settings, a source without images and a folder
    that holds something else; and what opening the model raises.
    """
    need_ray()
    model, out = as_path(model, "the file of the model"), as_path(out, "out")
    for name, value in (("workers", workers), ("part", part)):
        if value is not None:
            whole(name, value, 1, 2**31)
    number("cpus", cpus, 0, 1e5)
    device = str(options.get("device", "cpu"))
    gpus = (0.0 if device == "cpu" else 1.0) if gpus is None else gpus
    number("gpus", gpus, 0, 1e5)
    manifest, digest = read_identified(model)
    known = _Model(manifest, resolved_shape(manifest, options.get("shape")))
    if target is not None:
        target = int(as_targets(target, 1, manifest.classes, manifest.class_names)[0])
    chosen = settled(known, target, None if method is None else as_method(method))
    head = head_of(known, source if isinstance(source, str | os.PathLike) else (), target, chosen)
    options = {"threads": max(1, int(cpus)), **options}
    run = Run(str(model.resolve()), digest, options, chosen, target, head, str(out.resolve()))
    most = part or max(1, PART_BYTES // (4 * int(np.prod(known.shape, dtype=np.int64))))
    found = _Source.of(source, Preparation.of(manifest, known.shape))
    # Slices of other lengths would be other parts.
    listed = replace(head, run={**head.run, "part": str(most)}) if found.shards else head
    with cluster(address) as ray, told():
        parts = Parts(out, listed, resume)
        try:
            done = Names.written([] if found.shards else parts.files)
            summary = Summary()
            pool = Pool(ray, run, done, workers, cpus, gpus)
            rows, total = found.rows(pool, parts, done, (most, part), summary)
            with Progress(total, "image", "explaining", show=progress) as shown:
                for row in rows:
                    _list(row, parts, summary)
                    shown.reach(summary.written + len(summary.failures))
            tidy(parts)
        finally:
            parts.close()
    return summary


@dataclass
class _Source:
    """Where the images are: in shards, or in photos by their names, or in `given`, a Ray dataset."""

    given: Any
    shards: list[tuple[str, Path]]
    photos: list[tuple[str, Path]] | None

    @classmethod
    def of(cls, given: Any, preparation: Preparation) -> _Source:
        """Of what a caller gives; InputError for what is none."""
        if not isinstance(given, str | os.PathLike):
            if not hasattr(given, "map_batches"):
                raise InputError(f"source is {given!r:.200}, it must be a path or a Ray dataset")
            return cls(given, [], None)
        path = Path(given)
        shards = shards_of(path)
        if shards:
            return cls(given, shards, None)
        preparation.check()
        return cls(given, [], named_in(path, photos_in(path)))

    def rows(
        self, pool: Pool, parts: Parts, done: Names, size: tuple[int, int | None], summary: Summary
    ) -> tuple[Iterator[Any], int | None]:
        """What workers answer for the images that are not done, and how many these are, if it is known.

        size: the most images of a part, and how many were asked for.
        """
        most, part = size
        if self.shards:
            tasks = pool.planned(self.shards, most)
            if not tasks:
                raise no_image_in(Path(self.given))
            return pool.tasks(_left(tasks, parts, summary))
        if self.photos is None:
            return pool.images(self.given, most), None
        left = [(name, file) for name, file in self.photos if name not in done]
        summary.skipped = len(self.photos) - len(left)
        return pool.tasks(list(photo_tasks(left, pool.share(len(left), most, part))))


def _left(tasks: list[Task], parts: Parts, summary: Summary) -> list[Task]:
    """The tasks whose part is not complete; the images of others are skipped."""
    left = []
    for task in tasks:
        known = parts.listed.get(task.part)
        if known is None or known.failures:
            left.append(task)
        else:
            summary.skipped += len(task)
    return left


def _list(row: dict[str, Any], parts: Parts, summary: Summary) -> None:
    """Note what a process has done."""
    summary.skipped += int(row["skipped"])
    if not row["part"]:
        return
    part = Part.read(json.loads(row["part"]))
    if not (part.images or part.failures):  # all were written by an earlier run
        return
    before = parts.listed.get(part.name)
    kept = before.images if before else 0
    parts.add(part)
    summary.written += part.images - kept
    summary.skipped += kept
    summary.failures.update(part.failures)
