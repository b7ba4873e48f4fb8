"""What insertion and deletion have in common: pixels change sides in the order of their attribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, one_of, plain, whole
from fluxpath.errors import InputError
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.layout import RANKINGS, Layout, Ranking, ranked
from fluxpath.runtime.metrics.substrates import Substrate, as_substrate, exchanged

Curve = npt.NDArray[np.float64]


def as_substrates(value: Any) -> Substrate | tuple[Substrate, ...]:
    """A substrate, or a tuple of several; of one alone it is that one."""
    if not isinstance(value, list | tuple):
        return as_substrate("substrate", value)
    several = tuple(as_substrate("substrate", one) for one in value)
    if not several or len(set(several)) < len(several):
        raise InputError(f"substrate is {value!r}, it must be one substrate, or several different ones")
    return several[0] if len(several) == 1 else several


@dataclass(frozen=True)
class Game(Metric):
    """Settings of insertion and deletion; see `Insertion` and `Deletion` for the definitions.

    substrate: what stands where a pixel is missing: see `substrates`. Of several, the mean of their values
        and curves.
    steps: the number of changes, each of as many pixels as the others but for rounding: after k of them
        round(k n / steps) of the n pixels changed. Where there are fewer pixels, one at a time.
    ranking: "pixels", by the sum of their channels' attribution; "channels", each channel's pixels apart, the
        first of each channel changing first; "elements", every number by itself.
    absolute: whether the elements' absolute attributions are ranked (summed over a pixel's channels).
    """

    substrate: Substrate | tuple[Substrate, ...] = "blur"
    steps: int = 50
    ranking: Ranking = "pixels"
    absolute: bool = False

    removes: ClassVar[bool]
    """Whether pixels go, or come."""

    def __post_init__(self) -> None:
        plain(self)
        object.__setattr__(self, "substrate", as_substrates(self.substrate))
        whole("steps", self.steps, 1)
        one_of("ranking", self.ranking, RANKINGS)
        need(isinstance(self.absolute, bool), f"absolute is {self.absolute!r}, it must be True or False")

    @property
    def parts(self) -> tuple[Metric, ...]:
        """One for each substrate, if there are several."""
        if not isinstance(self.substrate, tuple):
            return ()
        return tuple(replace(self, substrate=one) for one in self.substrate)

    def probes(self, case: Case) -> Iterator[Image]:
        """The image after each change, the first before any: `steps` + 1."""
        if isinstance(self.substrate, tuple):
            return
        order = ranked(case, self.ranking, self.absolute)
        yield from exchanged(case, self.substrate, order, self.counts(len(order)), self.removes)

    def counts(self, n: int) -> list[int]:
        """How many of n pixels changed at each level."""
        steps = min(self.steps, n)
        return [(2 * k * n + steps) // (2 * steps) for k in range(steps + 1)]

    def measure(self, case: Case, found: Found) -> Measured:
        """The area under the curve of the target's probability over the share of pixels that changed.

        Curves, all float64 [steps + 1]: "fraction" of the pixels that changed, "probability" and "logit" of
        the target, and "accuracy", 1 where the target is the best class.
        """
        if found.parts:
            return mean_of(found.parts)
        n = case.values.size if self.ranking == "elements" else Layout(case.values.shape).pixels
        fraction = np.array(self.counts(n)) / n
        probability = found.probabilities[:, case.target]
        curves = {
            "fraction": fraction,
            "probability": probability,
            "logit": found.logits[:, case.target].astype(np.float64),
            "accuracy": (found.logits.argmax(axis=1) == case.target).astype(np.float64),
        }
        return Measured(area(fraction, probability), curves)


def area(x: Curve, y: Curve) -> float:
    """The area under a curve by the trapezoid rule."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def mean_of(parts: tuple[Measured, ...]) -> Measured:
    """The mean of values and curves of one length."""
    curves = {name: np.mean([part.curves[name] for part in parts], axis=0) for name in parts[0].curves}
    return Measured(float(np.mean([part.value for part in parts])), curves)
