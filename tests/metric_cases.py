"""A small classifier in plain numpy for metrics, explained images, and what metrics find for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fluxpath.manifest import Manifest
from fluxpath.runtime import Attribution, Saliency, Subject
from fluxpath.runtime.metrics import Case, Measured, Metric, measure
from fluxpath.runtime.prediction import Prediction

CLASSES = 4
PICTURE = (3, 8, 10)


class Small:
    """An explainer, as far as metrics need one: logits and gradients of each row by itself, in float64.

    batches: how many inputs each call of `predict` had. explained: the same of `attribute`.
    """

    def __init__(self, shape: tuple[int, ...] = PICTURE, objective: str = "softmax", **more: Any) -> None:
        self.shape = shape
        self.manifest = Manifest(
            input="x", shape=shape, classes=CLASSES, objective=objective, opset=20, source="none", logits="y"
        )
        self.manifest = Manifest(**{**vars(self.manifest), **more})
        rng = np.random.default_rng(4)
        features = int(np.prod(shape))
        self.first = 3 * rng.standard_normal((7, features)) / np.sqrt(features)
        self.second = 2 * rng.standard_normal((CLASSES, 7))
        self.batches: list[int] = []
        self.explained: list[int] = []

    def logits(self, image: np.ndarray) -> np.ndarray:
        """Float64 [classes] of one input."""
        return self.second @ np.tanh(self.first @ (image.astype(np.float64).reshape(-1) - 0.5))

    def probability(self, image: np.ndarray, target: int) -> float:
        """Softmax of the logits at the target."""
        powers = np.exp(self.logits(image))
        return float(powers[target] / powers.sum())

    def gradient(self, image: np.ndarray, target: int) -> np.ndarray:
        """Of the target's logit, float32 [*shape]."""
        hidden = np.tanh(self.first @ (image.astype(np.float64).reshape(-1) - 0.5))
        slope = (self.second[target] * (1 - hidden**2)) @ self.first
        return slope.reshape(self.shape).astype(np.float32)

    def predict(self, images: np.ndarray, top: int = 1) -> Prediction:
        self.batches.append(len(images))
        logits = np.stack([self.logits(image) for image in images]).astype(np.float32)
        return Prediction(logits, logits, logits.argmax(axis=1)[:, None])

    def attribute(self, images: np.ndarray, target: Any = None, method: Any = None) -> Attribution:
        self.explained.append(len(images))
        labels = [int(self.logits(image).argmax()) for image in images]
        targets = labels if target is None else list(target)
        scores = np.array([self.probability(i, t) for i, t in zip(images, targets, strict=True)], np.float32)
        return Attribution(
            values=np.stack([self.gradient(i, t) for i, t in zip(images, targets, strict=True)]),
            target=np.array(targets, np.int64),
            label=np.array(labels, np.int64),
            steps=np.zeros(len(images), np.int32),
            status=np.zeros(len(images), np.int32),
            score=scores,
            end_score=scores / 2,
            subject=Subject(images, method or Saliency(absolute=False), self.manifest),
        )


def cases(model: Small, n: int = 3, seed: int = 0, **more: Any) -> list[Case]:
    """n random images with their attributions and seeds."""
    images = np.random.default_rng(seed).random((n, *model.shape)).astype(np.float32)
    result = model.attribute(images)
    model.explained.clear()
    return [Case(image, result[i], seed=100 + i, **more) for i, image in enumerate(images)]


def with_values(case: Case, values: np.ndarray, **more: Any) -> Case:
    """The case with another attribution."""
    made = case.attribution
    other = Attribution(
        values.astype(np.float32)[None],
        made.target,
        made.label,
        made.steps,
        made.status,
        made.score,
        made.end_score,
        made.subject,
    )
    return Case(case.image, other, **{"seed": case.seed, "mask": case.mask, **more})


def measured(model: Small, case: Case, metric: Metric) -> Measured:
    """What one metric finds for one case."""
    (found,) = measure(model, [case], [metric])  # type: ignore[arg-type]
    return found[metric]


def probes(metric: Metric, case: Case) -> list[np.ndarray]:
    """Copies of what a metric asks for."""
    return [image.copy() for image in metric.probes(case)]


def some(model: Small, values: Sequence[float] | np.ndarray, mask: np.ndarray | None = None) -> Case:
    """A case of a random image whose pixels have these attributions, all in the first channel."""
    (case,) = cases(model, 1)
    given = np.zeros(model.shape, np.float32)
    given.reshape(-1)[: np.size(values)] = np.reshape(values, -1)
    return with_values(case, given, mask=mask)
