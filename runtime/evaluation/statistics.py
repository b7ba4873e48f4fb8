"""How sure a mean is, and which methods can be told apart: bootstrap intervals over images.

Efron, Tibshirani: "An Introduction to the Bootstrap", 1993. The percentile interval is too narrow for few
images (Hesterberg: "What Teachers Should Know about the Bootstrap", 2015, section 4): both of its arms are
longer here by t / z sqrt(n / (n - 1)), by which it covers a normal mean as Student's t does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
# Numbers of images that are drawn at a time.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean over `count` images, and between which bounds it lies; NaN where there are too few images."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean is known not to be zero."""
        return self.low > 0 or self.high < 0


def interval(values: Values, seed: int = 0, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """The mean of the values [n] that are not NaN, with its bootstrap interval.

    Resample b draws n of the images with numpy's `default_rng(seed).integers(0, n, (resamples, n))[b]`.
    Between the quantiles of the resamples' means is the percentile interval, whose arms are then made longer.
    """
    kept = values[~np.isnan(values)]
    count = len(kept)
    if count == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(kept.mean())
    if count < 2 or not np.isfinite(kept).all():
        return Interval(mean, math.nan, math.nan, count)
    tail = (1 - level) / 2
    low, high = np.quantile(resampled(kept, seed, resamples), [tail, 1 - tail]).tolist()
    longer = student(1 - tail, count - 1) / NormalDist().inv_cdf(1 - tail) * math.sqrt(count / (count - 1))
    return Interval(mean, mean + longer * (low - mean), mean + longer * (high - mean), count)


def resampled(values: Values, seed: int, resamples: int) -> Values:
    """The means of the resamples, float64 [resamples], of values [n]."""
    count = len(values)
    if resamples * count <= _AT_ONCE:
        return np.asarray(values[_drawn(seed, resamples, count)].mean(axis=1))
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // count)
    sizes = [min(step, resamples - at) for at in range(0, resamples, step)]
    return np.concatenate([values[rng.integers(0, count, (size, count))].mean(axis=1) for size in sizes])


@lru_cache(maxsize=2)
def _drawn(seed: int, resamples: int, count: int) -> npt.NDArray[np.int64]:
    """What each resample draws: the same for all columns of as many images, which makes them paired."""
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def student(share: float, freedom: int) -> float:
    """The quantile of Student's t, by bisection of its distribution's closed form for whole freedoms."""
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, freedom) < share else (low, middle)
    return high


def student_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0 (Abramowitz, Stegun: 26.7.3 and 26.7.4; the normal distribution beyond 2000)."""
    if freedom > 2000:
        return NormalDist().cdf(t)
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom % 2:
        term, total = cosine, 0.0
        for k in range(1, freedom - 1, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term, total = 1.0, 0.0
        for k in range(0, freedom - 1, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        inside = sine * total
    return (1 + inside) / 2


def told_apart(a: Values, b: Values, comparisons: int, seed: int = 0) -> tuple[Interval, bool]:
    """The mean of a - b over the images [n] that have both, and whether it is more than noise.

    The interval's level is 1 - (1 - LEVEL) / comparisons (Bonferroni), so that of so many comparisons none
    is wrong with LEVEL. With few images it decides nothing: where even differences that have one sign on all
    of them are more probable by chance (2^(1 - n)) than the level allows.
    """
    risk = (1 - LEVEL) / max(1, comparisons)
    found = interval(a - b, seed, 1 - risk)
    return found, found.excludes_zero and 2.0 ** (1 - found.count) <= risk


@dataclass(frozen=True)
class Standing:
    """A method in one metric. group: 1 for the best and those that cannot be told apart from it, 2 for the
    best of the others and those that cannot be told apart from that, and so on; 0 for one without a value.

    mean: over the images. difference: from the best method, over the images that have both; None of the best.
    """

    name: str
    mean: Interval
    difference: Interval | None
    group: int


def standings(
    values: Mapping[str, Values], better: Literal["higher", "lower"], seed: int = 0
) -> list[Standing]:
    """The methods from best to worst, each in the first group whose best it cannot be told apart from.

    values: float64 [n] of each method, over the same images, NaN where the metric is not defined. The level
    is that of all pairs of methods, though not all are compared: which is best is known from the data alone.
    """
    means = {name: interval(each, seed) for name, each in values.items()}
    sign = -1.0 if better == "higher" else 1.0
    ranked = sorted((n for n in values if means[n].count), key=lambda name: sign * means[name].mean)
    found: list[Standing] = []
    comparisons = len(ranked) * (len(ranked) - 1) // 2
    leaders: list[str] = []
    for name in ranked:
        apart = [told_apart(values[name], values[leader], comparisons, seed) for leader in leaders]
        group = next((k for k, (_, different) in enumerate(apart, 1) if not different), len(leaders) + 1)
        if group > len(leaders):
            leaders.append(name)
        found.append(Standing(name, means[name], apart[0][0] if apart else None, group))
    return found + [Standing(name, means[name], None, 0) for name in values if name not in ranked]


def best_group(found: Sequence[Standing]) -> list[str]:
    """The methods of the first group, the best first."""
    return [each.name for each in found if each.group == 1]
