"""Walks whose lengths come from the image, in numpy: the candidates that `benchmarks.defaults` compares.

The gradient of a softmax graph is that of the log-odds d, and its scale gives d: the distance to the
boundary, were the network linear, is d / ||gradient||. Only the rule that was chosen is in fluxpath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

Floats = npt.NDArray[np.float32]

LEAST, MOST = 0.5, 87.3
"""The bounds of log-odds that count: where the class is nearly lost, and where float32 ends."""


@dataclass(frozen=True)
class Rule:
    """How far MFABA steps.

    ascent: sharp or smooth. fixed: the step, else a share `1 / k` of the distance; anew: of the distance at
    the point, not at the image. growth: none, "line" (each step after `steady` longer by `rate` of the first)
    or "power" (longer by that factor).
    """

    ascent: str
    fixed: float = 0.0
    k: float = 8.0
    anew: bool = False
    growth: str = ""
    steady: int = 8
    rate: float = 0.25
    max_steps: int = 50


@dataclass
class Evaluated:
    """What the graph gives for a batch."""

    score: Floats
    label: npt.NDArray[np.int64]
    gradient: Floats
    scale: Floats

    def distance(self, ascent: str) -> npt.NDArray[np.float64]:
        """The linearised distance to even odds, by the norm that the direction needs."""
        s = np.maximum(self.scale.astype(np.float64), 1.2e-38)
        d = -np.log(2 * s / (1 - 2 * s + np.sqrt(np.maximum(1 - 4 * s, 0))))
        d = np.clip(np.where(self.score < 0.5, -d, d), LEAST, MOST)
        flat = self.gradient.reshape(len(d), -1).astype(np.float64)
        norm = np.linalg.norm(flat, axis=1) if ascent == "sharp" else np.abs(flat).sum(axis=1)
        return d / np.maximum(norm, 1e-300)


Evaluate = Callable[[Floats, npt.NDArray[np.int64]], Evaluated]


def evaluator(path: Path, threads: int) -> Evaluate:
    """Evaluates a gradient graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image, target = (i.name for i in session.get_inputs())

    def evaluate(points: Floats, targets: npt.NDArray[np.int64]) -> Evaluated:
        names = ["score", "label", "gradient", "scale"]
        return Evaluated(*session.run(names, {image: points, target: targets}))

    return evaluate


@dataclass
class Walked:
    """Attributions, evaluations, and scores at both ends, one entry per image."""

    values: Floats
    evaluations: npt.NDArray[np.float64]
    first: Floats
    last: Floats


def walk(evaluate: Evaluate, images: Floats, rule: Rule) -> Walked:
    """MFABA by `rule` with the trapezoid, all images in step, in [0, 1]."""
    n = len(images)
    x, values = images.copy(), np.zeros_like(images)
    pending, targets = np.zeros_like(images), np.full(n, -1, np.int64)
    base, counts = np.zeros(n), np.zeros(n)
    first, last = np.zeros(n, np.float32), np.zeros(n, np.float32)
    alive = np.arange(n)
    for step in range(rule.max_steps + 1):
        at = evaluate(x[alive], targets[alive])
        counts[alive] += 1
        if step == 0:
            targets, first = at.label.copy(), at.score.copy()
            at_image = at.distance(rule.ascent)
            base = np.full(n, rule.fixed) if rule.fixed else at_image / rule.k
        elif rule.anew:
            base[alive] = at.distance(rule.ascent) / rule.k
        last[alive] = at.score
        g = at.gradient * at.scale.reshape(-1, 1, 1, 1)
        ends = (at.label != targets[alive]) if step else np.zeros(n, bool)
        ends |= step == rule.max_steps
        length = base[alive] * _grown(rule, step)
        moved = _moved(rule.ascent, at.gradient, length, images[alive], x[alive])
        moved[ends] = 0
        values[alive] -= g * (pending[alive] + moved) / 2
        pending[alive] = moved
        x[alive] = np.clip(x[alive] + moved, 0, 1)
        alive = alive[~ends]
        if not len(alive):
            break
    return Walked(values, counts, first, last)


def _grown(rule: Rule, step: int) -> float:
    late = max(0, step - rule.steady + 1)
    if rule.growth == "line":
        return 1 + rule.rate * late
    return rule.rate**late if rule.growth == "power" else 1.0


def _moved(
    ascent: str, gradient: Floats, length: npt.NDArray[np.float64], image: Floats, x: Floats
) -> Floats:
    flat = gradient.reshape(len(x), -1)
    if ascent == "sharp":
        direction = flat / np.maximum(np.linalg.norm(flat.astype(np.float64), axis=1), 1e-300)[:, None]
        low, high = np.zeros_like(x), np.ones_like(x)
    else:
        direction = np.sign(flat)
        low, high = np.maximum(image - 0.3, 0), np.minimum(image + 0.3, 1)
    wanted = (-length[:, None] * direction).astype(np.float32).reshape(x.shape)
    return np.clip(wanted, low - x, high - x)


def flux(
    evaluate: Evaluate, image: Floats, n: int, norm: str, share: float, fixed: float = 0.0, seed: int = 0
) -> tuple[Floats, float]:
    """NeFLAG of one image, its samples in step: the attribution, and the evaluations for all samples.

    The radius is `fixed`, or `share` times the distance by `norm`.
    """
    at = evaluate(image[None], np.full(1, -1, np.int64))
    target = np.full(n, at.label[0])
    radius = np.float32(fixed or share * at.distance(norm)[0])
    u = np.random.default_rng(seed).standard_normal((n, *image.shape)).astype(np.float32)
    u /= np.linalg.norm(u.reshape(n, -1), axis=1).reshape(-1, 1, 1, 1)
    x, values, evaluations = np.clip(image + radius * u, 0, 1), np.zeros_like(image), 1.0
    alive = np.arange(n)
    for step in range(21):
        at = evaluate(x[alive], target[alive])
        evaluations += len(alive)
        away = x[alive] - image
        negative = (at.gradient * away).reshape(len(alive), -1).sum(axis=1, dtype=np.float64) < 0
        ends = negative if step else np.zeros(n, bool)
        ends = ends | (step == 20)
        values -= (at.scale[ends].reshape(-1, 1, 1, 1) * at.gradient[ends] * away[ends]).sum(axis=0)
        x[alive] = np.clip(image - radius * np.sign(at.gradient), 0, 1)
        alive = alive[~ends]
        if not len(alive):
            break
    return values, evaluations
