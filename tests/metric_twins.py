"""Metrics written from their equations in plain float64, a pixel at a time; nothing of fluxpath is used."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

Score = Callable[[np.ndarray], float]


def pixel_order(values: np.ndarray, absolute: bool = False) -> list[int]:
    """Numbers of pixels by the falling sum over channels of [c, h, w]; of equal ones the lower first."""
    channels = np.abs(values) if absolute else values
    sums = channels.astype(np.float64).reshape(len(channels), -1).sum(axis=0)
    return sorted(range(len(sums)), key=lambda p: (-sums[p], p))


def levels(n: int, steps: int) -> list[int]:
    """How many of n pixels changed after each step: halves are rounded up."""
    steps = min(steps, n)
    return [math.floor(k * n / steps + 0.5) for k in range(steps + 1)]


def exchanged(image: np.ndarray, other: np.ndarray, pixels: list[int]) -> np.ndarray:
    """The image [c, h, w] with these pixels of the other."""
    made = image.astype(np.float64).copy()
    width = image.shape[-1]
    for pixel in pixels:
        made[:, pixel // width, pixel % width] = other[:, pixel // width, pixel % width]
    return made


def area(x: list[float], y: list[float]) -> float:
    """By trapezoids."""
    return sum((b - a) * (c + d) / 2 for a, b, c, d in zip(x, x[1:], y, y[1:], strict=False))


def game(
    image: np.ndarray, substrate: np.ndarray, order: list[int], steps: int, score: Score, remove: bool
) -> float:
    """Insertion, or deletion if `remove`."""
    start, end = (image, substrate) if remove else (substrate, image)
    counts = levels(len(order), steps)
    curve = [score(exchanged(start, end, order[:count])) for count in counts]
    return area([count / len(order) for count in counts], curve)


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """[c, h, w] under a Gaussian cut off at four sigma, a tap at a time, mirrored at the border."""
    reach = int(4 * sigma + 0.5)
    taps = [math.exp(-0.5 * (t / sigma) ** 2) for t in range(-reach, reach + 1)]
    taps = [t / sum(taps) for t in taps]

    def line(values: np.ndarray) -> np.ndarray:
        n = len(values)
        mirrored = np.concatenate([values, values[::-1]])
        return np.array(
            [sum(t * mirrored[(i + k - reach) % (2 * n)] for k, t in enumerate(taps)) for i in range(n)]
        )

    rows = np.apply_along_axis(line, 2, image.astype(np.float64))
    return np.apply_along_axis(line, 1, rows)


def imputed(plane: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """[h, w] with the pixels that are gone solved for directly, as ROAD's equations say."""
    height, width = plane.shape
    unknown = [(i, j) for i in range(height) for j in range(width) if gone[i, j]]
    number = {place: k for k, place in enumerate(unknown)}
    matrix, right = np.zeros((len(unknown), len(unknown))), np.zeros(len(unknown))
    for k, (i, j) in enumerate(unknown):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                near = (i + di, j + dj)
                if (di, dj) == (0, 0) or not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                weight = 1 / 6 if di * dj == 0 else 1 / 12
                matrix[k, k] += weight
                if near in number:
                    matrix[k, number[near]] -= weight
                else:
                    right[k] += weight * plane[near]
    solved = plane.astype(np.float64).copy()
    for place, value in zip(unknown, np.linalg.solve(matrix, right), strict=True):
        solved[place] = value
    return solved


def file_size(image: np.ndarray, codec: str) -> int:
    """Bytes of [3, h, w] in [0, 1] as a lossless file."""
    levels = np.floor(image.astype(np.float64) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    made = Image.fromarray(levels.transpose(1, 2, 0).copy())
    if codec == "webp":
        made.save(file, "WEBP", lossless=True, quality=100)
    else:
        made.save(file, "PNG", optimize=True)
    return file.getbuffer().nbytes


def information_area(sizes: list[float], scores: list[float], monotonous: bool = True) -> float:
    """Under the normalised curve, at 1001 places; the first is the blurred image, the last the image."""
    points, best = [(0.0, 0.0)], 0.0
    for size, score in zip(sizes, scores, strict=True):
        x = min(max((size - sizes[0]) / (sizes[-1] - sizes[0]), 0.0), 1.0)
        y = min(max((score - scores[0]) / (scores[-1] - scores[0]), 0.0), 1.0)
        best = max(best, y)
        points.append((x, best if monotonous else y))
    points.append((1.0, 1.0))
    points.sort()
    grid = [k / 1000 for k in range(1001)]
    curve = []
    for at in grid:
        before = [p for p in points if p[0] <= at]
        after = [p for p in points if p[0] > at]
        (x0, y0) = before[-1]
        if not after:
            curve.append(y0)
            continue
        (x1, y1) = after[0]
        curve.append(y0 + (y1 - y0) * (at - x0) / (x1 - x0))
    return area(grid, curve)


def pearson(a: list[float], b: list[float]) -> float:
    """The correlation of two lists."""
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    cov = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    return cov / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


def gini(values: np.ndarray) -> float:
    """Half the mean absolute difference of all pairs, over the mean."""
    sizes = [abs(v) for v in values.reshape(-1).tolist()]
    pairs = sum(abs(a - b) for a in sizes for b in sizes)
    return pairs / (2 * len(sizes) ** 2 * (sum(sizes) / len(sizes)))


def entropy(values: np.ndarray) -> float:
    """Of the shares of absolute values, in nats."""
    sizes = [abs(v) for v in values.reshape(-1).tolist()]
    return -sum(s / sum(sizes) * math.log(s / sum(sizes)) for s in sizes if s)
