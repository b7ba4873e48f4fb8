"""Evaluates what metrics ask for, in full batches, and hands each its answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, whole
from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.methods import Method
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.layout import forget_orders
from fluxpath.runtime.prediction import probabilities

if TYPE_CHECKING:
    from fluxpath.runtime.explainer import Explainer

Rows = npt.NDArray[np.float32]


def measure(
    explainer: Explainer, cases: Iterable[Case], metrics: Sequence[Metric], *, batch: int = 32
) -> Measuring:
    """Measure every metric for every case, in the order of the cases, as they are needed.

    explainer: the model, of whose attributions the cases are.
    batch: the most inputs that are evaluated at a time. Those of many cases and metrics share a batch. A
        value does not depend on `batch`, nor on what else is measured, but for the rounding of the model's
        own kernels at another batch size.

    The result gives one mapping for each case, from each of `metrics` to what it found, and counts what was
    spent: see `Measuring`. At most `batch` cases and two batches of inputs are held. Raises InputError for
    metrics that are none or do not fit the input, and what `Explainer.predict` and `attribute` raise.
    """
    return Measuring(explainer, cases, metrics, batch)


class Measuring(Iterator[Mapping[Metric, Measured]]):
    """What `measure` returns.

    evaluations: the inputs at which the forward model was evaluated so far. explanations: the inputs that
    were explained. seconds: spent in both.
    """

    def __init__(
        self, explainer: Explainer, cases: Iterable[Case], metrics: Sequence[Metric], batch: int
    ) -> None:
        whole("batch", batch, 1, 2**20)
        self._metrics = tuple(_checked(metric) for metric in metrics)
        self._all = tuple(_with_parts(self._metrics))
        self._cases, self._batch = iter(cases), batch
        self._open = deque[_Open]()
        self._last: tuple[Image | None, Any, dict[int, tuple[Image, _Answer]]] = (None, None, {})
        self._manifest = explainer.manifest
        self._forward = _Forward(explainer, batch)
        self._neighbours = _Neighbours(explainer, batch)

    @property
    def evaluations(self) -> int:
        """The inputs at which the forward model was evaluated so far."""
        return self._forward.count

    @property
    def explanations(self) -> int:
        """The inputs that were explained so far."""
        return self._neighbours.count

    @property
    def seconds(self) -> float:
        """The time spent inside the model, forward and explaining."""
        return self._forward.seconds + self._neighbours.seconds

    def __next__(self) -> Mapping[Metric, Measured]:
        while not (self._open and self._open[0].is_done):
            case = next(self._cases, None) if len(self._open) < self._batch else None
            if case is not None:
                self._take(case)
            elif self._open:
                self._forward.flush()
                self._neighbours.flush()
            else:
                raise StopIteration
        done = self._open.popleft()
        found = done.measured(self._all, self._manifest)
        forget_orders(done.case)
        return {metric: found[metric] for metric in self._metrics}

    def _take(self, case: Case) -> None:
        """Ask for everything that a case needs; what does not fill a batch waits for the next case."""
        _check(case)
        image, made, shared = self._last
        self._last = case.image, case.made, shared if image is case.image and made is case.made else {}
        opened = _Open(case, self._last[2])
        self._open.append(opened)
        for metric in self._all:
            asked = opened.asked[metric] = _Asked()
            for image in metric.probes(case):
                asked.probes.append(opened.answer(image, self._forward))
            for image in metric.neighbours(case):
                answer = _Answer()
                self._neighbours.add(case, image, answer)
                asked.neighbours.append(answer)


def _checked(metric: object) -> Metric:
    if not isinstance(metric, Metric):
        raise InputError(f"{metric!r:.80} is no metric: pass instances such as Insertion(), or metric_named")
    try:
        hash(metric)
    except TypeError as error:
        raise InputError(f"{metric!r:.80} must be hashable: make it a frozen dataclass") from error
    return metric


def _with_parts(metrics: Iterable[Metric]) -> dict[Metric, None]:
    """The metrics and all their parts, each once, parts first."""
    ordered: dict[Metric, None] = {}
    for metric in metrics:
        ordered.update(_with_parts(metric.parts))
        ordered[metric] = None
    return ordered


def _check(case: object) -> None:
    if not isinstance(case, Case):
        raise InputError(f"a case is of {type(case)}, it must be a fluxpath.runtime.metrics.Case")
    if not isinstance(case.attribution, Attribution):
        raise InputError(
            f"attribution is of {type(case.attribution)}, it must be an Attribution of one image, such as "
            "result[0]"
        )
    whole("seed", case.seed, -(2**63), 2**64)
    if not isinstance(case.image, np.ndarray):
        raise InputError(f"image is of {type(case.image)}, it must be a float32 array [*shape]")
    shapes = case.image.shape, case.attribution.values.shape[1:]
    need(
        len(case.attribution) == 1 and shapes[0] == shapes[1] and case.image.dtype == np.float32,
        f"a case has one float32 image and its attribution, of one shape: these are {case.image.dtype} "
        f"{list(shapes[0])} and {len(case.attribution)} of {list(shapes[1])}",
    )


class _Answer:
    """A row that is not there yet."""

    __slots__ = ("row",)

    def __init__(self) -> None:
        self.row: Rows | None = None


@dataclass
class _Asked:
    """What one metric asked for about one case."""

    probes: list[_Answer] = field(default_factory=list)
    neighbours: list[_Answer] = field(default_factory=list)


class _Open:
    """A case some of whose answers are still missing. shared: with the cases of the same image."""

    def __init__(self, case: Case, shared: dict[int, tuple[Image, _Answer]]) -> None:
        self.case, self.shared = case, shared
        self.asked: dict[Metric, _Asked] = {}

    def answer(self, image: Image, forward: _Forward) -> _Answer:
        """The answer at an input: that of another metric or case, if it asked for the same array."""
        lasting = image is self.case.image or not image.flags.writeable
        if lasting and id(image) in self.shared:
            return self.shared[id(image)][1]
        answer = _Answer()
        forward.add(image, answer)
        if lasting:
            self.shared[id(image)] = image, answer  # which keeps the array, and so its id
        return answer

    @property
    def is_done(self) -> bool:
        """Whether every answer is there; the last ones come last, so they are looked at first."""
        return all(
            answer.row is not None
            for asked in reversed(self.asked.values())
            for answer in reversed([*asked.probes, *asked.neighbours])
        )

    def measured(self, metrics: Iterable[Metric], manifest: Any) -> dict[Metric, Measured]:
        done: dict[Metric, Measured] = {}
        for metric in metrics:
            asked = self.asked[metric]
            logits = _stacked(asked.probes)
            found = Found(
                logits=logits,
                probabilities=probabilities(logits, manifest) if len(logits) else logits.astype(np.float64),
                attributions=_stacked(asked.neighbours),
                parts=tuple(done[part] for part in metric.parts),
            )
            done[metric] = metric.measure(self.case, found)
        return done


def _stacked(answers: list[_Answer]) -> Rows:
    rows = [answer.row for answer in answers if answer.row is not None]
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


class _Forward:
    """Inputs on their way through the forward model."""

    def __init__(self, explainer: Explainer, batch: int) -> None:
        self._explainer, self._batch = explainer, batch
        self._images: Rows | None = None
        self._answers: list[_Answer] = []
        self.count, self.seconds = 0, 0.0

    def add(self, image: Image, answer: _Answer) -> None:
        """Copy the input; evaluate, if that makes a batch full."""
        if self._images is None:
            self._images = np.empty((self._batch, *image.shape), np.float32)
        need(
            image.shape == self._images.shape[1:],
            f"an input is {list(image.shape)}, and others are {list(self._images.shape[1:])}",
        )
        self._images[len(self._answers)] = image
        self._answers.append(answer)
        if len(self._answers) == self._batch:
            self.flush()

    def flush(self) -> None:
        """Evaluate what waits."""
        if not self._answers or self._images is None:
            return
        began = time.perf_counter()
        logits = self._explainer.predict(self._images[: len(self._answers)], top=1).logits
        self.seconds += time.perf_counter() - began
        for answer, row in zip(self._answers, logits, strict=True):
            answer.row = row
        self.count += len(self._answers)
        self._answers.clear()


class _Neighbours:
    """Inputs on their way to be explained: a batch has one method, and the fullest goes first."""

    def __init__(self, explainer: Explainer, batch: int) -> None:
        self._explainer, self._batch = explainer, batch
        self._waiting: dict[Method, list[tuple[Rows, int, _Answer]]] = {}
        self.count, self.seconds = 0, 0.0

    def add(self, case: Case, image: Image, answer: _Answer) -> None:
        """Copy the input; explain a batch, if it is full or two batches wait."""
        subject = case.attribution.subject
        if subject is None:
            raise InputError(
                "this metric explains neighbours of the image, and the attribution was made without its "
                "subject: take one that an Explainer made"
            )
        waiting = self._waiting.setdefault(subject.method, [])
        waiting.append((image.copy(), case.target, answer))
        if len(waiting) == self._batch:
            self._explain(subject.method)
        elif sum(map(len, self._waiting.values())) == 2 * self._batch:
            self._explain(max(self._waiting, key=lambda method: len(self._waiting[method])))

    def flush(self) -> None:
        """Explain what waits."""
        for method in list(self._waiting):
            self._explain(method)

    def _explain(self, method: Method) -> None:
        images, targets, answers = zip(*self._waiting.pop(method), strict=True)
        began = time.perf_counter()
        values = self._explainer.attribute(np.stack(images), list(targets), method).values
        self.seconds += time.perf_counter() - began
        for answer, row in zip(answers, values, strict=True):
            answer.row = row
        self.count += len(answers)
