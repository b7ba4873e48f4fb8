"""Attributes many images: few in flight at a time, results in order, and one failure stops no other image."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError, QueueFullError
from fluxpath.manifest import Manifest
from fluxpath.progress import Progress
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.attribution.subject import model_of
from fluxpath.runtime.bulk.sinks import Sink, open_sink
from fluxpath.runtime.bulk.sources import Item, Source, items
from fluxpath.runtime.inputs import as_fitting_method, as_targets, check_rules
from fluxpath.runtime.methods import MFABA, Method
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.records.rows import Head


class Described(Protocol):
    """A model, as far as settings have to fit it."""

    manifest: Manifest
    shape: tuple[int, ...]


class Submitting(Described, Protocol):
    """What a run needs from an `Explainer`."""

    slots: int

    def submit(
        self, images: npt.ArrayLike, target: int | None = None, method: Method | None = None
    ) -> Future[Attribution]:
        """See `Explainer.submit`."""


# Images in flight per slot: enough that the engine never waits while one is read or written.
WINDOW = 2

# Seconds until an image is submitted again where other callers' images are all that the explainer takes.
FULL = 0.005


@dataclass
class Summary:
    """What became of a run's images. written: by this run. skipped: already written by an earlier run.

    failures: one sentence for each image that failed, by its name.
    """

    written: int = 0
    skipped: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{self.written} written"
        text += f", {self.skipped} skipped as already written" if self.skipped else ""
        return text + (f", {len(self.failures)} failed" if self.failures else "")


@dataclass(frozen=True)
class _Flight:
    name: str
    image: npt.NDArray[np.float32]
    future: Future[Attribution]


def attribute_many(
    explainer: Submitting,
    source: Source,
    sink: str | os.PathLike[str] | Sink,
    *,
    target: int | None = None,
    method: Method | None = None,
    progress: bool = True,
    resume: bool = True,
) -> Summary:
    """See `Explainer.attribute_many`."""
    chosen = settled(explainer, target, method)
    manifest = explainer.manifest
    _check_sink(sink)
    coming, total = items(source, Preparation.of(manifest, explainer.shape))
    if isinstance(sink, str | os.PathLike):
        head = head_of(explainer, source, target, chosen)
        sink = open_sink(sink, head, resume=resume, low=manifest.low, high=manifest.high)
    run = _Run(explainer, sink, target, chosen)
    try:
        run.all(coming, total, progress)
        sink.close()
    except BaseException:
        getattr(sink, "abandon", lambda: None)()
        raise
    return run.summary


def settled(model: Described, target: int | None, method: Method | None) -> Method:
    """The method fitted to the model; InputError for a mistake that affects all images."""
    manifest = model.manifest
    chosen = as_fitting_method(MFABA() if method is None else method, model.shape, manifest)
    check_rules(chosen, manifest.rules)
    as_targets(target, 1, manifest.classes)
    if manifest.companions:
        names = ", ".join(c.name for c in manifest.companions)
        raise InputError(f"the model has further inputs ({names}): call submit, which takes them")
    return chosen


def _check_sink(sink: object) -> None:
    methods = ("done", "write", "close")
    if not isinstance(sink, str | os.PathLike) and not all(callable(getattr(sink, m, None)) for m in methods):
        raise InputError(
            f"sink is {sink!r}, it must be the path of a file or folder to write to, or an object with the "
            f"methods {', '.join(methods)}"
        )


def head_of(model: Described, source: Source, target: int | None, method: Method) -> Head:
    """What results in one sink must share: model, method, target and the source's folder."""
    folder = isinstance(source, str | os.PathLike)
    run = {
        "model": model_of(model.manifest),
        "method": repr(method),
        "target": None if target is None else str(int(target)),
        "source": str(Path(source).resolve()) if folder else None,  # type: ignore[arg-type]
    }
    return Head(run, model.shape)


class _Run:
    """Keeps a window of images that are submitted but not written yet, at most WINDOW per slot."""

    def __init__(self, explainer: Submitting, sink: Sink, target: int | None, method: Method) -> None:
        self._explainer, self._sink = explainer, sink
        self._target, self._method = target, method
        self._limit = WINDOW * explainer.slots
        self._window: deque[_Flight] = deque()
        self._names: set[str] = set()
        self.summary = Summary()

    def all(self, coming: Iterator[Item], total: int | None, progress: bool) -> None:
        """Take and land every item, and say how far the run is."""
        with Progress(total, "image", "explaining", show=progress) as shown:
            for item in coming:
                self.take(item)
                shown.reach(self.landed)
            while self._window:
                self.land(len(self._window) - 1)
                shown.reach(self.landed)

    @property
    def landed(self) -> int:
        """How many images are finished: written, skipped or failed."""
        return self.summary.written + self.summary.skipped + len(self.summary.failures)

    def take(self, item: Item) -> None:
        """Submit an item unless it is done or damaged; write finished results; wait if the window is full."""
        if item.name in self._names:
            sentence = f"the name '{item.name}' came before, and names must be distinct"
            self.summary.failures[item.name] = sentence
            return
        self._names.add(item.name)
        if self._sink.done(item.name):
            self.summary.skipped += 1
            return
        try:
            self._submit(item)
        except InputError as error:
            self.summary.failures[item.name] = str(error)
        self.land(self._limit - 1)

    def _submit(self, item: Item) -> None:
        image = item.load()
        if image.shape != self._explainer.shape:
            raise InputError(
                f"the image has shape {list(image.shape)}, and must have {list(self._explainer.shape)}"
            )
        target = self._target if item.target is None else item.target
        while (future := self._submitted(image, target)) is None:
            if self._window:
                self.land(len(self._window) - 1)
            else:  # other callers have taken all the room
                time.sleep(FULL)
        self._window.append(_Flight(item.name, image.astype(np.float32), future))

    def _submitted(self, image: npt.NDArray[np.float32], target: int | None) -> Future[Attribution] | None:
        """The image's future, or None while the explainer takes no more images."""
        try:
            return self._explainer.submit(image, target, self._method)
        except QueueFullError:
            return None

    def land(self, most: int) -> None:
        """Write finished results in order, waiting until at most `most` images are in flight."""
        while self._window and (len(self._window) > most or self._window[0].future.done()):
            flight = self._window.popleft()
            self._sink.write(flight.name, flight.image, flight.future.result())
            self.summary.written += 1
