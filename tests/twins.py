"""The methods once more: slow, in float64, one image, written as loops from the papers' equations.

Nothing here looks at fluxpath. A `Gradient` is the model: a point -> (score, label, gradient), float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Gradient = Callable[[Array], tuple[float, int, Array]]

BOUNDARY, NEGATIVE_FLUX, COMPLETE, MAX_STEPS, ZERO_GRADIENT, NON_FINITE = 1, 2, 3, 4, 5, 6
SMOOTH_RADIUS = 0.3


@dataclass
class Walk:
    """An attribution and how it came about."""

    values: Array
    points: list[Array]
    scores: list[float]
    steps: int
    status: int


def direction(gradient: Array, ascent: str) -> Array:
    """MFABA Eq. 12."""
    if ascent == "sharp":
        return gradient / math.sqrt(sum(float(g) ** 2 for g in gradient.ravel()))
    return np.array([(g > 0) * 1.0 - (g < 0) * 1.0 for g in gradient.ravel()]).reshape(gradient.shape)


def reach(gradient: Gradient, image: Array, ascent: str = "sharp", objective: str = "softmax") -> float:
    """How far even odds are from the image for a linear network, along the gradient or along its sign.

    The odds count as half of one where they are less, or against the class.
    """
    score, _, g = gradient(np.asarray(image, np.float64))
    if objective in ("softmax", "sigmoid"):
        odds, slope = math.log(score / (1 - score)), score * (1 - score)
    elif objective == "log_softmax":
        odds, slope = score - math.log(1 - math.exp(score)), 1 - math.exp(score)
    else:
        odds, slope = score, 1.0
    sizes = [abs(float(v)) / slope for v in g.ravel()]
    norm = math.sqrt(sum(v**2 for v in sizes)) if ascent == "sharp" else sum(sizes)
    return max(odds, 0.5) / norm if norm else 0.0


def mfaba(
    gradient: Gradient,
    image: Array,
    target: int | None = None,
    *,
    ascent: str = "sharp",
    rule: str = "trapezoid",
    path: str = "taylor",
    max_steps: int = 50,
    step_size: float | str | None = "auto",
    low: float = 0.0,
    high: float = 1.0,
    width: float = 1.0,
    objective: str = "softmax",
) -> Walk:
    """MFABA on one image; `target` None is the class predicted at it. width: the unit of lengths.

    step_size "auto": a quarter of the `reach` of the image; from the fifth step on each is longer than the
    one before by a quarter of the first.
    """
    grows = step_size == "auto"
    if isinstance(step_size, str):
        step_size = reach(gradient, image, ascent, objective) / 4
    else:
        step_size = width * (step_size or (0.1 if ascent == "sharp" else 0.001))
    radius = math.inf if ascent == "sharp" else SMOOTH_RADIUS * width
    x = np.asarray(image, np.float64)
    points, gradients, scores = [x], [], []
    while True:
        score, label, g = gradient(x)
        target = label if target is None else target
        gradients.append(g)
        scores.append(score)
        steps = len(points) - 1
        if not np.isfinite(g).all():
            return Walk(np.zeros_like(x), points, scores, steps, NON_FINITE)
        if steps > 0 and label != target:
            status = BOUNDARY
        elif steps == max_steps:
            status = MAX_STEPS
        elif not g.any():
            status = ZERO_GRADIENT
        else:
            longer = 1 + 0.25 * max(0, steps - 3) if grows else 1.0
            x = x - step_size * longer * direction(g, ascent)
            x = np.clip(np.clip(x, image - radius, image + radius), low, high)
            points.append(x)
            continue
        return Walk(_attribution(points, gradients, rule, path), points, scores, steps, status)


def _attribution(points: list[Array], gradients: list[Array], rule: str, path: str) -> Array:
    """Eq. 11, or with the points mapped onto the straight line at t_j, Eq. 15 with 16 or 17."""
    first, last = points[0], points[-1]
    values = np.zeros_like(first)
    n = len(points) - 1
    t = _by_length(points) if path == "norm" else _by_cosine(points)
    for j in range(n):
        g = gradients[j] if rule == "left" else (gradients[j] + gradients[j + 1]) / 2
        step = points[j + 1] - points[j] if path == "taylor" else (t[j + 1] - t[j]) * (last - first)
        values = values - g * step
    return values


def _by_length(points: list[Array]) -> list[float]:
    """Eq. 16: the share of the walk's length up to each point."""
    lengths = [float(np.linalg.norm((b - a).ravel())) for a, b in pairwise(points)]
    return [sum(lengths[:j]) / (sum(lengths) or 1.0) for j in range(len(points))]


def _by_cosine(points: list[Array]) -> list[float]:
    """Eq. 17: |x_j - x_0| cos(angle to x_n - x_0) / |x_n - x_0|."""
    chord = (points[-1] - points[0]).ravel()
    whole = float(np.linalg.norm(chord))
    t = []
    for x in points:
        reached = (x - points[0]).ravel()
        length = float(np.linalg.norm(reached))
        cosine = float(reached @ chord) / (length * whole) if length * whole > 0 else 0.0
        t.append(length * cosine / (whole or 1.0))
    return t


def neflag(
    gradient: Gradient,
    image: Array,
    starts: Sequence[Array],
    target: int | None = None,
    *,
    radius: float = 0.1,
    max_steps: int = 20,
    stop: str = "flux",
    low: float = 0.0,
    high: float = 1.0,
) -> Walk:
    """NeFLAG Algorithm 1, the points of line 4 given; `target` None is the class predicted at the image."""
    x = np.asarray(image, np.float64)
    score, label, _ = gradient(x)
    target = label if target is None else target
    whole = Walk(np.zeros_like(x), [], [score], 0, 0)
    for start in starts:
        y, steps = np.asarray(start, np.float64), 0
        while True:
            _, label, f = gradient(y)
            whole.points.append(y)
            flux = sum(float(a) * float(b) for a, b in zip(f.ravel(), (y - x).ravel(), strict=True))
            if not np.isfinite(f).all():
                status = NON_FINITE
            elif not f.any():
                status = ZERO_GRADIENT
            elif steps > 0 and stop == "flux" and flux < 0:
                status = NEGATIVE_FLUX
            elif steps > 0 and stop == "label" and label != target:
                status = BOUNDARY
            elif steps == max_steps:
                status = MAX_STEPS
            else:
                y = np.clip(x - radius * direction(f, "smooth"), low, high)
                steps += 1
                continue
            break
        whole.values = whole.values + f * (x - y)
        whole.steps += steps
        whole.status = max(whole.status, status)
    if whole.status == NON_FINITE:
        whole.values = np.zeros_like(x)
    return whole


def philox4x32(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """Philox4x32-10 (Salmon et al. 2011): four 32-bit words."""
    (a, b, c, d), (k, m), low = counter, key, 0xFFFFFFFF
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (right >> 32) ^ b ^ k, right & low, (left >> 32) ^ d ^ m, left & low
        k, m = (k + 0x9E3779B9) & low, (m + 0xBB67AE85) & low
    return [a, b, c, d]


def normals(seed: int, lane: int, count: int) -> Array:
    """Standard normals (Box and Muller): element i of a lane from words 2*(i//2) and its successor."""
    numbers: list[float] = []
    low = 0xFFFFFFFF
    for block in range((count + 3) // 4):
        words = philox4x32([block & low, block >> 32, lane, 0], [seed & low, seed >> 32])
        for first, second in (words[:2], words[2:]):
            radius = math.sqrt(-2 * math.log((first + 0.5) / 2**32))
            angle = 2 * math.pi * (second + 0.5) / 2**32
            numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return np.array(numbers[:count])


def neflag_starts(
    image: Array, n: int, seed: int, radius: float = 0.1, low: float = 0.0, high: float = 1.0
) -> list[Array]:
    """Line 4 of Algorithm 1: n points of the sphere around the image, clipped to the valid range."""
    starts = []
    for lane in range(n):
        u = normals(seed, lane, image.size)
        starts.append(np.clip(image + radius * (u / np.linalg.norm(u)).reshape(image.shape), low, high))
    return starts


def relative_error(given: npt.NDArray[np.floating], true: npt.NDArray[np.floating]) -> float:
    """||given - true|| / ||true||, 0 where both are zero."""
    difference = float(np.linalg.norm(np.asarray(given, np.float64).ravel() - np.asarray(true).ravel()))
    return difference / (float(np.linalg.norm(np.asarray(true).ravel())) or 1.0)
