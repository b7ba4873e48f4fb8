"""Twins of the methods of independent points: slow, in float64, one image, from the papers' equations."""

from __future__ import annotations

import math

import numpy as np
from twins import COMPLETE, NON_FINITE, Array, Gradient, Walk, normals, philox4x32


def _summed(gradient: Gradient, image: Array, points: list[Array], factors: list[Array]) -> Walk:
    """sum_k factor_k * grad f(point_k); the image goes first, for the target. Scores: image, then points."""
    scores = [gradient(image)[0]]
    values = np.zeros_like(image)
    status = COMPLETE
    for point, factor in zip(points, factors, strict=True):
        score, _, g = gradient(point)
        scores.append(score)
        if not np.isfinite(g).all():
            status = NON_FINITE
        values = values + factor * g
    return Walk(values if status == COMPLETE else 0 * image, points, scores, len(points), status)


def saliency(gradient: Gradient, image: Array, *, absolute: bool = True) -> Walk:
    """Simonyan et al. 2014."""
    walk = _summed(gradient, image, [image], [np.ones_like(image)])
    if absolute:
        walk.values = np.abs(walk.values)
    return walk


def input_x_gradient(gradient: Gradient, image: Array) -> Walk:
    """Shrikumar et al. 2016."""
    return _summed(gradient, image, [image], [image])


def legendre(n: int) -> list[tuple[float, float]]:
    """Nodes and weights of Gauss-Legendre quadrature on [-1, 1]: roots of P_n by Newton's method."""
    found = []
    for i in range(n):
        x = -math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(100):
            before, p = 0.0, 1.0
            for k in range(n):
                before, p = p, ((2 * k + 1) * x * p - k * before) / (k + 1)
            slope = n * (x * p - before) / (x * x - 1)
            x -= p / slope
        found.append((x, 2 / ((1 - x * x) * slope * slope)))
    return found


def shares(steps: int, rule: str) -> list[tuple[float, float]]:
    """Share of the way from the baseline, and weight, of each point."""
    if rule == "gauss-legendre":
        return [((1 + x) / 2, w / 2) for x, w in legendre(steps)]
    if rule == "trapezoid":
        return [(k / steps, (0.5 if k in (0, steps) else 1.0) / steps) for k in range(steps + 1)]
    offset = {"left": 0.0, "middle": 0.5, "right": 1.0}[rule]
    return [((k + offset) / steps, 1 / steps) for k in range(steps)]


def integrated_gradients(
    gradient: Gradient, image: Array, *, steps: int, rule: str, baseline: float | Array = 0.0
) -> Walk:
    """Sundararajan et al. 2017, Eq. 3."""
    line = image - baseline
    points = [baseline + a * line for a, _ in shares(steps, rule)]
    return _summed(gradient, image, points, [w * line for _, w in shares(steps, rule)])


def noisy(image: Array, n: int, sigma: float, seed: int) -> list[Array]:
    """SmoothGrad's samples."""
    return [image + sigma * normals(seed, k, image.size).reshape(image.shape) for k in range(n)]


def smoothgrad(
    gradient: Gradient, image: Array, *, n: int, sigma: float, variant: str = "mean", seed: int = 0
) -> Walk:
    """Smilkov et al. 2017; squared: Hooker et al. 2019; variance: Adebayo et al. 2018."""
    points = noisy(image, n, sigma, seed)
    walk = _summed(gradient, image, points, [np.ones_like(image) / n] * n)
    gradients = [gradient(point)[2] for point in points]
    if variant == "squared":
        walk.values = sum(g * g for g in gradients) / n
    if variant == "variance":
        walk.values = sum((g - walk.values) ** 2 for g in gradients) / n
    return walk


def uniform(seed: int, lane: int, word: int) -> float:
    """A number in (0, 1) for a lane."""
    words = philox4x32([0, 0, lane, 1], [seed & 0xFFFFFFFF, seed >> 32])
    return (words[word] + 0.5) / 2**32


def expected_gradients(gradient: Gradient, image: Array, *, background: Array, n: int, seed: int = 0) -> Walk:
    """Erion et al. 2021."""
    references = [background[int(uniform(seed, k, 0) * len(background))] for k in range(n)]
    points = [r + uniform(seed, k, 1) * (image - r) for k, r in enumerate(references)]
    return _summed(gradient, image, points, [(image - r) / n for r in references])


def lpi(
    gradient: Gradient,
    image: Array,
    *,
    references: Array,
    densities: list[float],
    steps: int,
    rule: str,
    seed: int = 0,
) -> Walk:
    """Yang et al. 2023."""
    points, factors = [], []
    for j, r in enumerate(references):
        for k in range(steps):
            share = uniform(seed, j * steps + k, 0) if rule == "random" else (k + 0.5) / steps
            points.append(r + share * (image - r))
            factors.append(densities[j] / sum(densities) / steps * (image - r))
    return _summed(gradient, image, points, factors)
