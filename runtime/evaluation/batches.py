"""Explains and measures a batch of images by all methods and metrics: the lines of the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.attribution.subject import unit
from fluxpath.runtime.evaluation.data import Datum
from fluxpath.runtime.evaluation.log import Line
from fluxpath.runtime.evaluation.plan import Plan
from fluxpath.runtime.evaluation.report.photos import data_uri
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.metrics import Case, Measured, Metric, measure
from fluxpath.runtime.pictures import overlay, picture

Image = npt.NDArray[np.float32]

Numbers: TypeAlias = npt.NDArray[np.float64]
Sums: TypeAlias = tuple[int, Numbers, Numbers, Numbers, Numbers]

MEASURED = 32
"""Inputs of metrics that are evaluated at a time."""


@dataclass
class _Taken:
    """An image that is evaluated, and what is written of it."""

    datum: Datum
    image: Image
    mask: npt.NDArray[np.bool_] | None
    target: int = -1
    content: dict[str, Any] = field(default_factory=dict)


class Batches:
    """Makes the lines of one batch after the other. drawn: how many photos are in the report's grid already.

    positions: from which images on another photo goes into the grid. said: is told what is being done, and
    how many attributions were measured meanwhile.
    """

    def __init__(
        self,
        explainer: Explainer,
        plan: Plan,
        positions: Sequence[int],
        drawn: int,
        said: Callable[[str, int], None],
    ) -> None:
        self._explainer, self._plan = explainer, plan
        self._positions, self._drawn, self._said = positions, drawn, said
        self._cost: dict[str, list[int]] = {}

    def lines(self, first: int, data: Sequence[Datum]) -> list[Line]:
        """The lines of these images, of which the first has the number `first`, and of the batch."""
        begin = time.perf_counter()
        about: dict[str, Any] = {"seconds": {}, "explaining": {}, "gradients": {}}
        loaded = [self._loaded(datum) for datum in data]
        taken = self._targeted([each for each in loaded if isinstance(each, _Taken)])
        about["seconds"]["preparing"] = time.perf_counter() - begin
        if taken:
            results = self._explained(taken, about)
            self._measured(taken, results, about)
            self._drawn_photos(first, data, taken, results)
        about["seconds"]["all"] = time.perf_counter() - begin
        self._said("", len(self._plan.methods) * (len(data) - len(taken)))
        lines = [
            Line(
                datum.name,
                {
                    "identity": datum.identity,
                    **(each.content if isinstance(each, _Taken) else {"failed": each}),
                },
            )
            for datum, each in zip(data, loaded, strict=True)
        ]
        return [*lines, Line("", about)]

    def _loaded(self, datum: Datum) -> _Taken | str:
        """The image, or the sentence that says why it cannot be read."""
        try:
            return _Taken(datum, datum.load(), datum.mask())
        except InputError as error:
            return str(error)

    def _targeted(self, loaded: list[_Taken]) -> list[_Taken]:
        """Predict, and choose the class that is explained; the images that are evaluated."""
        if not loaded:
            return []
        self._said("predicting", 0)
        predicted = self._explainer.predict(np.stack([each.image for each in loaded]), top=1)
        kept = []
        for i, each in enumerate(loaded):
            best, label = int(predicted.classes[i, 0]), each.datum.label
            each.target = best
            if self._plan.target == "label":
                each.target = -1 if label is None else label
            each.content = {"label": label, "predicted": best}
            if each.target < 0 or (self._plan.only == "correct" and label != best):
                each.content["left out"] = True
                continue
            each.content |= {
                "target": each.target,
                "probability": float(predicted.probabilities[i, each.target]),
                "methods": {},
            }
            kept.append(each)
        return kept

    def _explained(self, taken: list[_Taken], about: dict[str, Any]) -> dict[str, Attribution]:
        """The images' attributions by each method, one method after the other, so that each has its time."""
        images, targets = np.stack([each.image for each in taken]), [each.target for each in taken]
        results: dict[str, Attribution] = {}
        for name, method in self._plan.methods.items():
            self._said(f"explaining by {name}", 0)
            begin, lanes = time.perf_counter(), self._explainer.stats().lanes
            results[name] = self._explainer.attribute(images, targets, method)
            about["explaining"][name] = time.perf_counter() - begin
            about["gradients"][name] = self._explainer.stats().lanes - lanes
        return results

    def _measured(
        self, taken: list[_Taken], results: Mapping[str, Attribution], about: dict[str, Any]
    ) -> None:
        """Fill in what each metric found of each image and method, and add up curves."""
        plan, curves, begin = self._plan, Curves(), time.perf_counter()
        self._said("measuring", 0)

        def cases() -> Iterator[Case]:
            for i, each in enumerate(taken):
                seed, made = plan.seed_of(each.datum.name), dict[Any, Any]()
                for result in results.values():
                    yield Case(each.image, result[i], seed, each.mask, made)

        if not self._cost:  # asked once, as making what a metric asks for can take long
            self._cost = {column: asked(metric, next(cases())) for column, metric in plan.metrics.items()}
        running = measure(self._explainer, cases(), list(plan.metrics.values()), batch=MEASURED)
        for i, each in enumerate(taken):
            for name, result in results.items():
                found = next(running)
                values = {column: found[metric].value for column, metric in plan.metrics.items()}
                each.content["methods"][name] = {
                    "steps": int(result.steps[i]),
                    "status": int(result.status[i]),
                    "error_rate": float(result[i].error_rate[0]),
                    "values": {column: float(value) for column, value in values.items()},
                }
                for column, metric in plan.metrics.items():
                    curves.add(column, name, found[metric])
                self._said("measuring", 1)
        about |= {
            "measured": len(taken) * len(results),
            "evaluations": running.evaluations,
            "explanations": running.explanations,
            "curves": curves.content(),
            "cost": self._cost,
        }
        about["seconds"] |= {"measuring": time.perf_counter() - begin, "model": running.seconds}

    def _drawn_photos(
        self, first: int, data: Sequence[Datum], taken: list[_Taken], results: Mapping[str, Attribution]
    ) -> None:
        """Draw the photos whose turn it is."""
        manifest, drawing = self._explainer.manifest, self._plan.drawing
        place = {id(datum): first + i for i, datum in enumerate(data)}
        for i, each in enumerate(taken):
            due = sum(position <= place[id(each.datum)] for position in self._positions)
            if self._drawn >= due:
                continue
            self._drawn += 1
            shown = unit(each.image, manifest.low, manifest.high)
            each.content["photo"] = data_uri(picture(shown, drawing.size))
            for name, result in results.items():
                drawn = overlay(shown, result.values[i], drawing)
                each.content["methods"][name]["picture"] = data_uri(drawn)


def asked(metric: Metric, case: Case) -> list[int]:
    """How often a metric evaluates the forward model for one image, and how many neighbours it explains.

    Its parts are counted; what metrics share is counted for each.
    """
    parts = [asked(part, case) for part in metric.parts]
    probes = sum(1 for _ in metric.probes(case)) + sum(part[0] for part in parts)
    return [probes, sum(1 for _ in metric.neighbours(case)) + sum(part[1] for part in parts)]


class Curves:
    """What the means of curves and their intervals need, added up over images: see `content`."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, dict[str, Sums]]] = {}

    def add(self, column: str, method: str, found: Measured) -> None:
        """Add one image's curves; one with NaN or infinity is left out."""
        for name, curve in found.curves.items():
            values = np.asarray(curve, np.float64)
            if np.isfinite(values).all():
                with np.errstate(over="ignore"):  # sums of huge values are infinite, and not drawn
                    squares = values * values
                self._join(column, method, name, (1, values, squares, values, values))

    def join(self, content: Mapping[str, Any]) -> None:
        """Add what `content` gave of another batch."""
        for column, methods in content.items():
            for method, curves in methods.items():
                for name, (count, *arrays) in curves.items():
                    total, squares, least, most = map(np.array, arrays)
                    self._join(column, method, name, (count, total, squares, least, most))

    def _join(self, column: str, method: str, name: str, more: Sums) -> None:
        """Add sums; a curve of another length than the first ones is left out."""
        of_method = self._sums.setdefault(column, {}).setdefault(method, {})
        known = of_method.setdefault(name, more)
        if known is not more and len(known[1]) == len(more[1]):
            least, most = np.minimum(known[3], more[3]), np.maximum(known[4], more[4])
            with np.errstate(over="ignore"):
                total, squares = known[1] + more[1], known[2] + more[2]
            of_method[name] = (known[0] + more[0], total, squares, least, most)

    def sums(self) -> Mapping[str, Mapping[str, Mapping[str, Sums]]]:
        """By column, method and curve: the number of images, sums, sums of squares, least and greatest."""
        return self._sums

    def content(self) -> dict[str, Any]:
        """The sums as JSON holds them."""
        return {
            column: {
                method: {
                    name: [count, *(each.tolist() for each in arrays)]
                    for name, (count, *arrays) in curves.items()
                }
                for method, curves in methods.items()
            }
            for column, methods in self._sums.items()
        }
