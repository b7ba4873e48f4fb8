"""How sure a mean is, and which methods can be told apart: bootstrap intervals over images.

Efron, Tibshirani: "An Introduction to the Bootstrap", 1993. The percentile interval is too narrow for few
images (Hesterberg: "What Teachers Should Know about the Bootstrap", 2015, section 4): both of its arms are
longer here by t / z sqrt(n / (n - 1)), by which it covers a normal mean as Student's t does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
# Values beyond it count as infinite: sums and differences of all others stay finite.
MOST = 1e300
# Numbers of images that are drawn at a time.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean, and between which bounds it lies; NaN where there are too few images.

    count: how many images have a value. infinite: how many of these have an infinite one, which a mean
    leaves out, unless all are the same infinity, and a difference counts as `differences` says.
    """

    mean: float
    low: float
    high: float
    count: int
    infinite: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean is known not to be zero."""
        return self.low > 0 or self.high < 0


def interval(values: Values, seed: int = 0, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """The mean of the values [n] that are finite, with its bootstrap interval; NaN is no value.

    Resample b draws n of the images with numpy's `default_rng(seed).integers(0, n, (resamples, n))[b]`.
    Between the quantiles of the resamples' means is the percentile interval, whose arms are then made longer.
    """
    kept = values[~np.isnan(values)]
    finite = kept[np.abs(kept) <= MOST]
    count, infinite = len(kept), len(kept) - len(finite)
    if len(finite) == 0:
        signs = set(np.sign(kept).tolist())
        mean = math.inf * signs.pop() if len(signs) == 1 else math.nan
        return Interval(mean, math.nan, math.nan, count, infinite)
    return Interval(*_bounded(finite, seed, level, resamples), count, infinite)


def _bounded(values: Values, seed: int, level: float, resamples: int) -> tuple[float, float, float]:
    """The mean of finite values and its bounds; all NaN without values, the bounds with one."""
    count = len(values)
    if count < 2:
        return float(values[0]) if count else math.nan, math.nan, math.nan
    mean = float(values.mean())
    tail = (1 - level) / 2
    low, high = np.quantile(resampled(values, seed, resamples), [tail, 1 - tail]).tolist()
    longer = student(1 - tail, count - 1) / NormalDist().inv_cdf(1 - tail) * math.sqrt(count / (count - 1))
    return mean, mean + longer * (low - mean), mean + longer * (high - mean)


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


def differences(a: Values, b: Values) -> Values:
    """a - b over the images [n] that have both, float64 [k].

    An infinite value is beyond every finite one of the two, by as much as these are apart: one image decides
    no more than that, and two equal infinities differ by nothing.
    """
    pair = np.stack([a, b])[:, _both(a, b)]
    finite = np.abs(pair) <= MOST
    known = pair[finite] if finite.any() else np.zeros(1)
    low, high = float(known.min()), float(known.max())
    far = high - low or abs(high) or 1.0
    pair = np.where(finite, pair, np.where(pair > 0, high + far, low - far))
    return np.asarray(pair[0] - pair[1])


def _both(a: Values, b: Values) -> npt.NDArray[np.bool_]:
    """Which images have a value of both, [n]."""
    return ~(np.isnan(a) | np.isnan(b))


def told_apart(a: Values, b: Values, comparisons: int, seed: int = 0) -> tuple[Interval, bool]:
    """The mean of a - b over the images [n] that have both, and whether it is more than noise.

    The interval's level is 1 - (1 - LEVEL) / comparisons (Bonferroni), so that of so many comparisons none
    is wrong with LEVEL. Few images that differ decide nothing: where even differences that have one sign on
    all k of them are more probable by chance (2^(1 - k)) than the level allows.
    """
    risk = (1 - LEVEL) / max(1, comparisons)
    each = differences(a, b)
    infinite = int(((np.abs(a) > MOST) | (np.abs(b) > MOST))[_both(a, b)].sum())
    found = Interval(*_bounded(each, seed, 1 - risk, RESAMPLES), len(each), infinite)
    return found, found.excludes_zero and 2.0 ** (1 - int(np.count_nonzero(each))) <= risk


@dataclass(frozen=True)
class Standing:
    """A method in one metric. group: 1 for those that no other beats, 2 for those that only methods of
    group 1 beat, and so on; 0 for one without a value.

    mean: over the images that have a value. difference: from the first method, over the images that have
    both; None of the first.
    """

    name: str
    mean: Interval
    difference: Interval | None
    group: int


def standings(
    values: Mapping[str, Values], better: Literal["higher", "lower"], seed: int = 0
) -> list[Standing]:
    """The methods by groups, and in each from best to worst.

    values: float64 [n] of each method, over the same images, NaN where the metric is not defined. A method
    beats another if it is better, beyond noise, over the images that have both: means over different images
    say nothing. The level is that of all pairs of methods. Within a group methods stand by how many they are
    better than on average, then by their means; both are the order of the means where no value is missing.
    """
    means = {name: interval(each, seed) for name, each in values.items()}
    sign = 1.0 if better == "higher" else -1.0
    with_value = [name for name in values if means[name].count]
    ahead = {
        name: sum(_sign(sign * differences(values[name], values[other])) for other in with_value)
        for name in with_value
    }
    mean = {name: sign * means[name].mean for name in with_value}
    ranked = sorted(
        with_value, key=lambda n: (ahead[n], -math.inf if math.isnan(mean[n]) else mean[n]), reverse=True
    )
    comparisons = len(ranked) * (len(ranked) - 1) // 2

    def compared(a: str, b: str) -> tuple[Interval, bool]:
        return told_apart(values[a], values[b], comparisons, seed)

    pairs = {(b, a): compared(b, a) for a, b in combinations(ranked, 2)}
    beaten = {
        (a, b) if sign * found.mean > 0 else (b, a) for (a, b), (found, apart) in pairs.items() if apart
    }
    groups = grouped(ranked, beaten)
    ranked.sort(key=lambda name: groups[name])
    differences_of = {n: (pairs.get((n, ranked[0])) or compared(n, ranked[0]))[0] for n in ranked[1:]}
    return [
        *(Standing(name, means[name], differences_of.get(name), groups[name]) for name in ranked),
        *(Standing(name, means[name], None, 0) for name in values if name not in ranked),
    ]


def _sign(values: Values) -> int:
    """Of the mean; 0 without values."""
    return int(np.sign(values.mean())) if len(values) else 0


def grouped(names: Sequence[str], beaten: Collection[tuple[str, str]]) -> dict[str, int]:
    """The number of each one's group, from pairs (who beats, who is beaten).

    Group 1 are those that none beats, group 2 those that none of the rest beats, and so on. Those that beat
    one another in a circle, as they can where pairs have different images, share a group.
    """
    over = set(beaten)  # also by way of others
    for middle, a, b in product(names, repeat=3):
        if (a, middle) in over and (middle, b) in over:
            over.add((a, b))
    groups: dict[str, int] = {}
    number = 0
    while left := [name for name in names if name not in groups]:
        number += 1
        for name in left:
            if all((name, other) in over for other in left if (other, name) in over):
                groups[name] = number
    return groups


def shared(values: Mapping[str, Values]) -> list[int]:
    """Over how many images each pair of methods with values is compared, in ascending order."""
    known = [each for each in values.values() if not np.isnan(each).all()]
    return sorted(int(_both(a, b).sum()) for a, b in combinations(known, 2))


def best_group(found: Sequence[Standing]) -> list[str]:
    """The methods of the first group, the best first."""
    return [each.name for each in found if each.group == 1]
