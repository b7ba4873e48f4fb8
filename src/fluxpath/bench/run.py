"""A whole comparison: sides are opened, compared, and timed in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from fluxpath.arrays import FixedArray
from fluxpath.bench.agreement import SURE, Agreement, agreement, limits_of
from fluxpath.bench.cold import cold_start
from fluxpath.bench.sides import FLUXPATH, OWN_NOISE, TORCH, missing
from fluxpath.bench.timing import ORDERED, Rounds, candidates, chosen, figures, in_turns
from fluxpath.bench.work import Explained, Floats, LeftOut, Setup, Slots, Work
from fluxpath.bench.workers import Worker
from fluxpath.progress import Progress
from fluxpath.runtime import Method

COMPARED = 8
"""The first images, whose attributions are compared before anything is timed; half of them where a method
takes many gradients."""

SLOTS = 32
"""Points that are evaluated at a time on a GPU, on every side; as many as a call has images, if more."""

EAGER_SLOTS = (8, 32, 100)
"""What the sides of torch are tried with where fluxpath knows, or measures, by itself what suits it."""

COLD_TRIES = 3
SEEDS = 3
"""Of fluxpath's, to see how far apart noise leaves attributions."""

PLAIN = ("published", "folded", "captum")
"""The sides that differentiate the probability itself, in float32."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is timed, and how often.

    method: None is one gradient step. batch: images in a call; "auto", all at once.
    """

    name: str
    method: Method | None
    batch: int | Literal["auto"]
    rounds: Rounds = field(default_factory=Rounds)

    def work(self, images: int, device: str) -> Work:
        """A call of the first images."""
        count = images if self.batch == "auto" else self.batch
        slots: Slots = max(SLOTS, count)
        if self.method is not None and self.batch == "auto":
            slots = "auto"
        elif self.method is not None and device == "cpu":
            slots = None
        return Work(self.method, 0, count, slots)


def measured(
    setup: Setup,
    scores: Floats,
    sides: Sequence[str],
    tasks: Sequence[Task],
    progress: Progress,
) -> tuple[list[Row], dict[str, str]]:
    """A row for each task, and the sides that were left out with the reasons.

    scores: of the images, float32 [n]. Every step of `steps_of` is told to `progress`. Raises what fluxpath
    raises; what other sides raise is in the rows.
    """
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for side in sides:
            progress.doing(f"opening {side}")
            try:
                workers[side] = stack.enter_context(Worker(side, setup))
            except LeftOut as error:
                left_out[side] = str(error)
            progress.update()
        rows = [_Comparison(setup, scores, workers, task, progress).row() for task in tasks]
    return rows, left_out


def steps_of(sides: Sequence[str], tasks: Sequence[Task]) -> int:
    """How many steps a run has, for its progress."""
    return len(sides) + 4 * len(tasks)


class _Comparison:
    """One task, by every side that has it."""

    def __init__(
        self, setup: Setup, scores: Floats, workers: dict[str, Worker], task: Task, progress: Progress
    ) -> None:
        self._setup, self._scores, self._workers = setup, scores, workers
        self._task, self._progress = task, progress
        self._work = task.work(len(setup.targets), setup.device)
        self._sides: Row = {}

    def row(self) -> Row:
        """Choose, compare, time; then what fluxpath tells of itself."""
        task, what = self._task, f"{self._task.name}, batch {self._task.batch}"
        self._doing(f"{what}: choosing settings")
        chosen_ones = {side: work for side in self._having() if (work := self._chosen(side)) is not None}
        self._doing(f"{what}: comparing")
        works = self._agreeing(chosen_ones)
        self._doing(f"{what}: timing")
        self._time(works, what)
        self._doing(f"{what}: cold starts")
        ours = self._workers[FLUXPATH].facts(works[FLUXPATH])
        if ours.slots is not None:
            self._sides[FLUXPATH]["slots"] = ours.slots
        cold = None if task.method is None else cold_start(self._setup, self._work, COLD_TRIES)
        self._progress.update()
        return {
            "method": task.name,
            "settings": settings_of(task.method),
            "batch": task.batch,
            "images": self._work.count,
            "evaluations_per_image": ours.evaluations,
            "outside_graph": ours.outside,
            "cold_start": cold,
            "sides": self._sides,
        }

    def _doing(self, what: str) -> None:
        if self._sides:
            self._progress.update()
        self._progress.doing(what)

    def _having(self) -> list[str]:
        """The sides that have the task."""
        for side, worker in self._workers.items():
            reason = missing(side, self._task.method, self._setup.manifest)
            self._sides[side] = {} if reason is None else {"has_no": reason}
            if reason is None and worker.remark:
                self._sides[side]["remark"] = worker.remark
        return [side for side, found in self._sides.items() if "has_no" not in found]

    def _agreeing(self, works: dict[str, Work]) -> dict[str, Work]:
        """Of the sides those that compute, with the settings that are timed, what fluxpath does."""
        few = max(COMPARED // 2, min(COMPARED, 64 // lanes_of(self._task.method)))
        last = min(few, len(self._scores))
        own = replace(works[FLUXPATH], last=last, same_noise=True)
        ours = self._workers[FLUXPATH].answer(own)
        found = {FLUXPATH: works[FLUXPATH]}
        for side, work in works.items():
            if side == FLUXPATH:
                continue
            try:
                answer = self._workers[side].answer(replace(work, last=last, same_noise=True))
            except LeftOut as error:
                self._sides[side]["left_out"] = str(error)
                continue
            verdict = self._compared(side, answer, ours, own)
            self._sides[side]["agreement"] = asdict(verdict) | {"words": str(verdict)}
            if verdict.agrees:
                found[side] = work
        return found

    def _compared(self, side: str, found: Explained, ours: Explained, work: Work) -> Agreement:
        manifest, method = self._setup.manifest, self._task.method
        counted = None
        if side in PLAIN and manifest.objective in ("softmax", "sigmoid"):
            counted = np.minimum(self._scores, 1 - self._scores)[: work.last] >= SURE
        others: list[Floats] = []
        if side == "captum" and isinstance(method, OWN_NOISE):
            for seed in range(1, SEEDS):
                reseeded = replace(work, method=replace(method, seed=method.seed + seed))
                others.append(self._workers[FLUXPATH].answer(reseeded)[0])
        compared = partial(agreement, found, ours, limits_of(manifest), counted, others, lanes_of(method))
        verdict = compared()
        if verdict.agrees or others:
            return verdict
        return compared(moved=self._workers[FLUXPATH].answer(replace(work, moved=True)))

    def _chosen(self, side: str) -> Work | None:
        """The better settings of a side."""
        slots: Sequence[Slots] = (self._work.slots,)
        if not isinstance(self._work.slots, int) and side != FLUXPATH:
            fitting = [n for n in EAGER_SLOTS if n <= 2 * self._points()]
            slots = fitting or EAGER_SLOTS[:1]
        images = len(self._setup.manifest.shape) == 3
        try:
            work = chosen(self._workers[side], candidates(side, self._work, slots, images))
            if self._work.slots != "auto":
                self._workers[side].answer(work)  # once as a whole, untimed
        except LeftOut as error:
            self._sides[side]["left_out"] = str(error)
            return None
        if side in TORCH:
            self._sides[side]["slots"] = work.slots
        if side in ORDERED:
            self._sides[side]["channels_last"] = work.channels_last
        return work

    def _points(self) -> int:
        """How many points there are at a time at most."""
        return self._work.count * lanes_of(self._task.method)

    def _time(self, works: dict[str, Work], what: str) -> None:
        count, total = self._work.count, len(self._setup.targets)
        groups = [(first, first + count) for first in range(0, total - count + 1, count)]

        def told(done: int) -> None:
            self._progress.doing(f"{what}: timing, {done} rounds")

        def left_out(side: str, error: LeftOut) -> None:
            self._sides[side]["left_out"] = str(error)

        seconds = in_turns(self._workers, works, groups, self._task.rounds, told, left_out)
        for side, found in figures(seconds, count).items():
            self._sides[side] |= found


def lanes_of(method: Method | None) -> int:
    """How many lanes an image has."""
    return 1 if method is None else method.lanes


def settings_of(method: Method | None) -> dict[str, Any]:
    """A method's settings as JSON holds them: an array by its shape."""
    if method is None or not is_dataclass(method):
        return {}
    given = {setting.name: getattr(method, setting.name) for setting in fields(method)}
    return {
        name: f"array {list(value.array.shape)}" if isinstance(value, FixedArray) else value
        for name, value in given.items()
    }
