"""Whether two sides compute the same: a side that does not is shown as such, and not timed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fluxpath.bench.work import Explained, Floats, Integers
from fluxpath.manifest import Manifest

SURE = 1e-4
"""Below this 1 - p, plain float32 has lost the derivative of the probability p, which fluxpath keeps."""

FAR = 1e30
"""A distance that is none, as JSON can hold it."""


class Limits(NamedTuple):
    """The largest median distance, and the least share of equal steps, of the same method."""

    distance: float = 1e-3
    steps: float = 0.9


FLOAT32, HALF = Limits(), Limits(0.3, 0.0)
"""Rounding moves few walks and little of the typical image; half precision leaves the direction."""

MOST = 0.03
"""The largest distance in float32, however ill-conditioned a model is."""


def limits_of(manifest: Manifest) -> Limits:
    """Those of a file: what float32 lost of its gradient at verification, both sides may lose."""
    if manifest.precision != "float32":
        return HALF
    return Limits(min(MOST, max(FLOAT32.distance, 2 * (manifest.error or 0.0))))


NOISIEST = 1 / 3
"""How far apart fluxpath's own seeds may be, as `mutual` has it, for a side with noise of its own to be held
against them: it may be 1.5 times as far, and what has nothing to do with them is 0.7 apart."""


RELATED = 2 / 3
"""No two that are further apart are called alike: nothing at all is 1 apart."""

ROUNDED = 3.0
"""How many times as far as rounding moves fluxpath's own attributions a side may be from them: it rounds in
every layer, and not in the image alone."""


@dataclass(frozen=True)
class Agreement:
    """Relative L2 distances from fluxpath's attributions, and the share of images with the same steps.

    images: how many count. same_steps: None for methods without steps. expected: where the side draws noise
    of its own, the median distance between fluxpath's own attributions of some seeds, and all distances are
    `mutual`; else None. agrees: the verdict. median, p90, max are None where nothing can be told: no image
    counts, or noise or rounding drowns what would be compared. rounding: how far fluxpath's own attributions
    move with the last bit of every pixel, the median; None where nobody asked.
    """

    images: int
    same_steps: float | None
    median: float | None
    p90: float | None
    max: float | None
    expected: float | None
    agrees: bool
    rounding: float | None = None

    def __str__(self) -> str:
        if self.median is None and self.rounding is not None:
            return f"not comparable: rounding alone moves fluxpath's own by {self.rounding:.0e}"
        if self.median is None and self.expected is not None:
            return f"not comparable: fluxpath's own seeds are {self.expected:.0e} apart"
        if self.median is None:
            return "not comparable: plain float32 has lost the derivative at every image"
        steps = "" if self.same_steps is None else f", {self.same_steps:.0%} same steps"
        noise = "" if self.expected is None else f" (noise of its own: {self.expected:.0e} expected)"
        rounding = "" if self.rounding is None else f" (by rounding alone: {self.rounding:.0e})"
        return f"{self.median:.0e} apart{steps}{noise}{rounding}"


def agreement(
    found: Explained,
    ours: Explained,
    limits: Limits = FLOAT32,
    counted: npt.NDArray[np.bool_] | None = None,
    other_seeds: Sequence[Floats] = (),
    walks: int = 1,
    moved: Explained | None = None,
) -> Agreement:
    """How a side's attributions compare with fluxpath's, and whether they are the same.

    counted: the images [n] that count. other_seeds: fluxpath's attributions with other seeds, for a side with
    noise of its own, which is then as far from fluxpath's as those are from each other; NOISIEST, and nothing
    can be told. walks: of an image, whose steps are summed: a tenth of them may differ by a step. moved:
    what fluxpath gives for images whose last bits are others, where a side seems to differ: a ReLU near its
    corner makes more of that than the limits allow, and a walk more still.
    """
    values, steps = found
    its, its_steps = ours
    chosen = np.ones(len(its), bool) if counted is None else counted
    if not chosen.any():
        return Agreement(0, None, None, None, None, None, True)
    pairs = itertools.combinations((its, *other_seeds), 2)
    expected = max((float(np.median(mutual(*pair)[chosen])) for pair in pairs), default=None)
    if expected is not None and expected > NOISIEST:
        return Agreement(int(chosen.sum()), None, None, None, None, expected, True)
    measure = mutual if other_seeds else distances
    apart = measure(values, its)[chosen]
    same, (most, least), rounding = _same(steps, its_steps, chosen, walks), limits, None
    if moved is not None:
        rounding = float(np.median(distances(moved[0], its)[chosen]))
        if rounding > NOISIEST and np.median(apart) < FAR:
            return Agreement(int(chosen.sum()), None, None, None, None, None, True, rounding)
        most = max(most, min(ROUNDED * rounding, RELATED))
        least = min(least, _same(moved[1], its_steps, chosen, walks) or 0.0)
    median = float(np.median(apart))
    agrees = median <= (most if expected is None else 1.5 * expected) and (same is None or same >= least)
    return Agreement(
        int(chosen.sum()),
        same,
        median,
        float(np.quantile(apart, 0.9)),
        float(apart.max()),
        expected,
        bool(agrees),
        rounding,
    )


def _same(
    steps: Integers | None, others: Integers | None, chosen: npt.NDArray[np.bool_], walks: int
) -> float | None:
    """The share of the chosen images with the same steps, but for a tenth of their walks."""
    if steps is None or others is None:
        return None
    return float((np.abs(steps - others) <= walks * (1 - FLOAT32.steps) + 1e-9)[chosen].mean())


def distances(values: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """|values - other| / |other| of each image; 0 where both are zero, FAR where that is no number."""
    return _over(values, other, np.linalg.norm(_flat(other), axis=1))


def mutual(values: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """|values - other| / (|values| + |other|) of each image: of two that are as good as each other."""
    return _over(values, other, sum(np.linalg.norm(_flat(a), axis=1) for a in (values, other)))


def _flat(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return values.reshape(len(values), -1).astype(np.float64)


def _over(
    values: npt.NDArray[np.floating], other: npt.NDArray[np.floating], size: Any
) -> npt.NDArray[np.float64]:
    gap = np.linalg.norm(_flat(values) - _flat(other), axis=1)
    relative = np.divide(gap, size, out=np.where(gap > 0, FAR, 0.0), where=size > 0)
    return np.where(np.isfinite(gap), relative, FAR)
