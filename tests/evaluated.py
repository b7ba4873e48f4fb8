"""Small evaluations, for the tests of what they are made of and of what shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
import numpy as np

from fluxpath.runtime import Explainer, IntegratedGradients, Saliency
from fluxpath.runtime.evaluation import Evaluation, evaluate
from fluxpath.runtime.evaluation.data.base import Fitting
from fluxpath.runtime.evaluation.noise import Random
from fluxpath.runtime.metrics import Deletion, Insertion, Measured, Metric

NAMES = ("ant", "bee, honey bee", "cat", "dog")
METHODS = {"saliency": Saliency(), "ig": IntegratedGradients(steps=4), "random": Random()}
METRICS: dict[str, Metric] = {"insertion": Insertion("black", 6), "deletion": Deletion("black", 6)}


@dataclass(frozen=True)
class Covered(Metric):
    """The share of the attribution's magnitude inside the mask; not defined without one."""

    better = "higher"

    def measure(self, case: Any, found: Any) -> Measured:
        if case.mask is None:
            return Measured(np.nan)
        magnitude = np.abs(case.values).sum(axis=0)
        return Measured(float(magnitude[case.mask].sum() / magnitude.sum()))


def images(n: int) -> np.ndarray:
    return models.images("smooth", n)


def evaluated(path: Path, n: int = 10, **options: Any) -> Evaluation:
    """An evaluation of `n` images by three methods and two metrics."""
    data = {"images": images(n), "labels": np.arange(n) % 4}
    settings = {"methods": METHODS, "metrics": METRICS, "batch": 4, "progress": False, **options}
    with Explainer(path, threads=1) as explainer:
        return evaluate(explainer, settings.pop("data", data), **settings)


def fitting(path: Path) -> Fitting:
    with Explainer(path, threads=1) as explainer:
        return Fitting(explainer.manifest, explainer.shape)


def rows_of(found):
    """All rows as text, in which NaN equals NaN."""
    return json.dumps(list(found.rows))
