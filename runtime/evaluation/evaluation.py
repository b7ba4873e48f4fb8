"""What an evaluation found: the class that `evaluate` returns."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need
from fluxpath.files import as_path
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution.subject import class_name
from fluxpath.runtime.evaluation.batches import Curves, Sums
from fluxpath.runtime.evaluation.log import need_all, read
from fluxpath.runtime.evaluation.machine import now, versions
from fluxpath.runtime.evaluation.plan import FACTS, OF_METHOD, Plan
from fluxpath.runtime.evaluation.statistics import Interval, Standing, standings, told_apart
from fluxpath.runtime.evaluation.table import text_table
from fluxpath.status import Status
from fluxpath.text import counted

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The mean of a curve over `count` images, and its 95% interval by the normal distribution, all [k].

    The interval ends where the images' curves do, which no mean can leave.
    """

    mean: Numbers
    low: Numbers
    high: Numbers
    count: int

    @classmethod
    def of(cls, sums: Sums) -> Curve:
        """From what `Curves` added up."""
        count, total, squares, least, most = sums
        mean = total / count
        with np.errstate(over="ignore", invalid="ignore"):  # of a metric of one's own, with huge values
            spread = 1.96 * np.sqrt(np.maximum(squares / count - mean * mean, 0) / max(1, count - 1))
        return cls(mean, np.maximum(mean - spread, least), np.minimum(mean + spread, most), count)


@dataclass(frozen=True)
class Photo:
    """An image of the report's grid: data URIs of the photo, and of its overlay by each method."""

    name: str
    caption: str
    photo: str
    overlays: Mapping[str, str]


@dataclass
class Spent:
    """What a run cost, the parts that were done before it was continued included.

    explaining: seconds by method. gradients: evaluations of the gradient graph by method. seconds:
    "preparing", "measuring", of that "model" inside the model, and "all". evaluations: of the forward model,
    by metrics. cost: for each metric, how often it evaluates the forward model, and explains neighbours, for
    one image and method.
    """

    explaining: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    explanations: int = 0
    cost: dict[str, list[int]] = field(default_factory=dict)

    def add(self, about: Mapping[str, Any]) -> None:
        """Add what a batch cost."""
        for totals, more in (
            (self.explaining, about["explaining"]),
            (self.gradients, about["gradients"]),
            (self.seconds, about["seconds"]),
        ):
            for name, value in more.items():
                totals[name] = totals.get(name, 0) + value
        self.evaluations += about.get("evaluations", 0)
        self.explanations += about.get("explanations", 0)
        self.cost = self.cost or about.get("cost", {})

    @property
    def share_of_model(self) -> float:
        """The share of the whole time that was spent inside the model: explaining, and in metrics."""
        inside = sum(self.explaining.values()) + self.seconds.get("model", 0.0)
        return inside / self.seconds["all"] if self.seconds.get("all") else math.nan


@dataclass
class Evaluation:
    """Values of every metric for every image and method, and what follows from them.

    methods, metrics: their names, in order. images: the names of the n images that were evaluated. label:
    int64 [n], -1 where there is none; predicted, target: int64 [n]; probability: float64 [n], of the target.
    failures: a sentence for each image that could not be read, by its name. left_out: how many images
    `only` or a missing label left out. accuracy: the share of the images with a label that the model gets
    right, those that were left out included; NaN without labels.

    `values(metric)` are the numbers; `rows` one dict for each image and method; `table()` the summary as
    text; `standings(metric)` and `compare(metric, a, b)` say what can be told apart; `save` writes files.
    """

    plan: Plan
    manifest: Manifest
    about: Mapping[str, str]
    machine: Mapping[str, str]
    methods: list[str]
    metrics: list[str]
    images: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    photos: list[Photo] = field(default_factory=list)
    curves: dict[str, dict[str, dict[str, Curve]]] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    left_out: int = 0
    right: int = 0
    labelled: int = 0
    date: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)
    _facts: dict[str, list[Any]] = field(default_factory=dict)
    _numbers: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    _known: dict[str, list[Standing]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        log: Path,
        batches: int,
        plan: Plan,
        manifest: Manifest,
        about: Mapping[str, str],
        where: Mapping[str, str],
    ) -> Evaluation:
        """What is in a log of so many batches."""
        made = cls(plan, manifest, about, where, list(plan.methods), list(plan.metrics), date=now())
        made._facts = {name: [] for name in FACTS}
        made._numbers = {m: {c: [] for c in (*OF_METHOD, *plan.metrics)} for m in plan.methods}
        curves, count = Curves(), 0
        for line in read(log):
            if line.name == "":
                made.spent.add(line.content)
                curves.join(line.content.get("curves", {}))
                count += 1
            else:
                made._take(line.name, line.content)
        need_all(count, batches, log)
        made.curves = {
            column: {m: {c: Curve.of(sums) for c, sums in each.items()} for m, each in found.items()}
            for column, found in curves.sums().items()
        }
        return made

    def _take(self, name: str, content: Mapping[str, Any]) -> None:
        if "failed" in content:
            self.failures[name] = content["failed"]
            return
        self.labelled += content["label"] is not None
        self.right += content["label"] is not None and content["label"] == content["predicted"]
        if content.get("left out"):
            self.left_out += 1
            return
        self.images.append(name)
        for fact in FACTS:
            value = content[fact]
            self._facts[fact].append(-1 if value is None else value)
        for method, found in content["methods"].items():
            into = self._numbers[method]
            for each in OF_METHOD:
                into[each].append(found[each])
            for column, value in found["values"].items():
                into[column].append(value)
        if "photo" in content:
            overlays = {m: found["picture"] for m, found in content["methods"].items()}
            self.photos.append(Photo(name, self._caption(content), content["photo"], overlays))

    def _caption(self, content: Mapping[str, Any]) -> str:
        target, chance = content["target"], content["probability"]
        text = self._class(target) + ("" if math.isnan(chance) else f", {chance:.1%}")
        if content["predicted"] != target:
            text += f"; predicted: {self._class(content['predicted'])}"
        elif content["label"] is not None and content["label"] != target:
            text += f"; labelled: {self._class(content['label'])}"
        return text

    def _class(self, number: int) -> str:
        name = class_name(self.manifest, number)
        return f"class {name}" if name == str(number) else name

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"Evaluation of {counted(len(self.methods), 'method')} by {counted(len(self.metrics), 'metric')} "
            f"on {counted(len(self), 'image')}\n{self.table()}"
        )

    @property
    def label(self) -> npt.NDArray[np.int64]:
        """int64 [n]; -1 where there is none."""
        return np.array(self._facts["label"], np.int64)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """int64 [n]."""
        return np.array(self._facts["predicted"], np.int64)

    @property
    def target(self) -> npt.NDArray[np.int64]:
        """The explained classes, int64 [n]."""
        return np.array(self._facts["target"], np.int64)

    @property
    def probability(self) -> Numbers:
        """Of the explained classes, float64 [n]; NaN where the model gives none."""
        return np.array(self._facts["probability"], np.float64)

    @property
    def accuracy(self) -> float:
        """The share of images with a label that the model gets right; NaN without labels."""
        return self.right / self.labelled if self.labelled else math.nan

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict for each image and method, images first: names, classes, steps, a number per metric."""
        for i, image in enumerate(self.images):
            facts = {name: self._facts[name][i] for name in FACTS}
            facts["label"] = None if facts["label"] == -1 else facts["label"]
            named = class_name(self.manifest, facts["target"])
            for method in self.methods:
                numbers = {name: each[i] for name, each in self._numbers[method].items()}
                status = Status(int(numbers.pop("status"))).words
                yield {
                    "image": image,
                    "method": method,
                    "class_name": named,
                    **facts,
                    "status": status,
                    **numbers,
                }

    def values(self, metric: str) -> dict[str, Numbers]:
        """The metric's values by method, float64 [n] each; NaN where it is not defined."""
        self._need_metric(metric)
        return {method: np.array(self._numbers[method][metric], np.float64) for method in self.methods}

    def standings(self, metric: str) -> list[Standing]:
        """The methods by groups, in each from best to worst; see `statistics.standings`."""
        self._need_metric(metric)
        if metric not in self._known:
            better = self.plan.metrics[metric].better
            self._known[metric] = standings(self.values(metric), better, self.plan.seed)
        return self._known[metric]

    def compare(self, metric: str, a: str, b: str) -> tuple[Interval, bool]:
        """The mean of the differences a - b over the images that have both, its 95% interval, and whether it
        is more than noise; see `statistics.told_apart`.
        """
        values = self.values(metric)
        for name in (a, b):
            need(name in values, f"there is no method {name!r}, there are {', '.join(values)}")
        return told_apart(values[a], values[b], 1, self.plan.seed)

    def table(self) -> str:
        """The summary as text: means, and marks of the best groups."""
        return text_table(self)

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write .html, .csv, .json or .parquet, or all of them into a folder; the files that were written."""
        from fluxpath.runtime.evaluation.saving import save

        return save(self, as_path(path, "the file or folder to write to"))

    def _need_metric(self, metric: str) -> None:
        need(metric in self.metrics, f"there is no metric {metric!r}, there are {', '.join(self.metrics)}")
