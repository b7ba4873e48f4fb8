"""AGI, BIG and Guided IG as in twins.py: slow, in float64, one image, loops from the papers' equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from twins import BOUNDARY, COMPLETE, MAX_STEPS, NON_FINITE, ZERO_GRADIENT, Array, Gradient, Walk, direction

Model = Callable[[Array, int], tuple[float, int, Array]]
"""(point, class) -> (score of the class, predicted class, gradient of the score)."""


def agi(
    model: Model,
    image: Array,
    explained: int,
    false_classes: Sequence[int],
    *,
    step_size: float = 0.05,
    max_steps: int = 20,
    low: float = 0.0,
    high: float = 1.0,
    width: float = 1.0,
) -> Walk:
    """A walk to each false class; the points are those evaluated, in order. width: the step's unit."""
    whole = Walk(np.zeros_like(image), [], [], 0, BOUNDARY)
    for false in false_classes:
        x, steps = np.asarray(image, np.float64), 0
        while True:
            score, label, g = model(x, explained)
            whole.points.append(x)
            whole.scores.append(score)
            if not np.isfinite(g).all():
                return Walk(np.zeros_like(x), whole.points, whole.scores, whole.steps, NON_FINITE)
            if label == false or steps == max_steps:
                status = BOUNDARY if label == false else MAX_STEPS
                break
            toward = model(x, false)[2]
            whole.points.append(x)
            if not toward.any():
                status = ZERO_GRADIENT
                break
            d = (
                np.array(
                    [min(max(a, low), high) for a in x + step_size * width * direction(toward, "smooth")]
                )
                - x
            )
            whole.values = whole.values - g * d
            x = x + d
            steps += 1
        whole.steps += steps
        whole.status = max(whole.status, status)
    return whole


def big(
    gradient: Gradient,
    image: Array,
    target: int,
    *,
    radii: Sequence[float] = (36 / 255, 64 / 255, 0.3, 0.5, 0.7, 0.9, 1.1),
    max_steps: int = 40,
    bisections: int = 8,
    integration_steps: int = 50,
    low: float = 0.0,
    high: float = 1.0,
    width: float = 1.0,
) -> Walk:
    """Attack in ball after ball, bisection, integral; `gradient` is that of the class `target`.

    width: the unit of the radii.
    """
    first = np.asarray(image, np.float64)
    walk = Walk(np.zeros_like(first), [], [], 0, MAX_STEPS)

    def ask(x: Array) -> tuple[int, Array]:
        score, label, g = gradient(x)
        walk.points.append(x)
        walk.scores.append(score)
        walk.steps = len(walk.points) - 1
        return label, g

    def attack(radius: float) -> Array | None:
        """An adversarial point in the ball."""
        x, g = first, uphill
        for j in range(max_steps):
            if not g.any():
                return None
            x = x - 2 * radius / max_steps * direction(g, "sharp")
            distance = math.sqrt(sum(float(v) ** 2 for v in x - first))
            if distance > radius:
                x = first + (x - first) * radius / distance
            x = np.array([min(max(v, low), high) for v in x])
            label, g = ask(x)
            if label != target and (inside or j + 1 == max_steps):
                return x
        return None

    label, uphill = ask(first)
    inside = label == target
    if not uphill.any():
        walk.status = ZERO_GRADIENT
        return walk
    for radius in sorted(radii):
        adversarial = attack(radius * width)
        if adversarial is not None:
            break
    else:
        return walk
    near, far = 0.0, 1.0
    for _ in range(bisections if inside else 0):
        middle = (near + far) / 2
        if ask(first + middle * (adversarial - first))[0] == target:
            near = middle
        else:
            far = middle
    boundary = first + far * (adversarial - first)
    walk.status = BOUNDARY
    for k in range(integration_steps):
        z = boundary + (k + 0.5) / integration_steps * (first - boundary)
        walk.values = walk.values + (first - boundary) * ask(z)[1] / integration_steps
    return walk


def guided_ig(
    gradient: Gradient,
    image: Array,
    *,
    steps: int = 200,
    fraction: float = 0.25,
    baseline: float = 0.0,
    max_dist: float = 0.02,
) -> Walk:
    """Element by element, with the share of its way that each has gone instead of the point."""
    way = [float(v) - baseline for v in image]
    n = len(way)
    share = [0.0 if w else 1.0 for w in way]
    walk = Walk(np.zeros(n), [], [], steps, ZERO_GRADIENT)
    for k in range(steps):
        x = np.array([baseline + s * w for s, w in zip(share, way, strict=True)])
        score, _, g = gradient(x)
        walk.points.append(x)
        walk.scores.append(score)
        if g.any():
            walk.status = COMPLETE
        before, line = list(share), (k + 1) / steps
        least, most = max(line - max_dist, 0.0), min(line + max_dist, 1.0)
        share = [max(s, least) for s in share]
        while True:
            gone = sum(s * abs(w) for s, w in zip(share, way, strict=True) if w)
            left = line * sum(abs(w) for w in way) - gone
            open_ = [i for i in range(n) if way[i] and share[i] < most]
            if left <= 1e-12 or not open_:
                break
            sizes = sorted([abs(float(g[i])) for i in open_] + [math.inf] * (n - len(open_)))
            chosen = [i for i in open_ if abs(float(g[i])) <= sizes[math.floor(fraction * (n - 1))]]
            room = sum((most - share[i]) * abs(way[i]) for i in chosen)
            part = min(left / room, 1.0)
            for i in chosen:
                share[i] = most if part == 1.0 else share[i] + part * (most - share[i])
        for i in range(n):
            walk.values[i] += (share[i] - before[i]) * way[i] * float(g[i])
    return walk
