"""What the two information curves share: images of more and more revealed pixels, and their information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, number, one_of, plain
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.information.size import CODECS, file_sizes
from fluxpath.runtime.metrics.layout import ranked
from fluxpath.runtime.metrics.removal.game import area
from fluxpath.runtime.metrics.substrates import Substrate, as_substrate, exchanged

Curve = npt.NDArray[np.float64]

GRID = np.linspace(0.0, 1.0, 1001)
"""The information at which curves are given, so that images can be averaged."""

_PAIR = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.13, 0.21, 0.34, 0.5, 0.75)


@dataclass(frozen=True)
class Revealed(Metric):
    """The images of an information curve; see `SoftmaxInformationCurve` for definition and settings.

    Curves: "fraction" revealed, "size" in bytes, "probability" and "accuracy"; the value is the last size.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    fractions: tuple[float, ...] = _PAIR
    substrate: Substrate = "blur"
    codec: Literal["webp", "png"] = "webp"
    monotonous: bool = True
    least: float = 0.0

    def __post_init__(self) -> None:
        plain(self)
        given = tuple(self.fractions) if isinstance(self.fractions, list | tuple) else (self.fractions,)
        for fraction in given:
            number("fractions", fraction, 0.0, 1.0)
        rising = all(a < b for a, b in pairwise(given))
        need(given and rising, f"fractions are {given}, and must rise, one or more")
        object.__setattr__(self, "fractions", tuple(map(float, given)))
        object.__setattr__(self, "substrate", as_substrate("substrate", self.substrate))
        one_of("codec", self.codec, CODECS)
        need(
            isinstance(self.monotonous, bool), f"monotonous is {self.monotonous!r}, it must be True or False"
        )
        number("least", self.least, 0.0, 1.0)

    def probes(self, case: Case) -> Iterator[Image]:
        """The substrate, the image with each share of its pixels revealed in it, and the image."""
        order = ranked(case)
        n = len(order)
        counts = [0, *(round(fraction * n) for fraction in self.fractions), n]
        return exchanged(case, self.substrate, order, counts, remove=False)

    def measure(self, case: Case, found: Found) -> Measured:
        """Sizes and scores."""
        sizes = file_sizes(case, Revealed.probes(self, case), self.codec)
        curves = {
            "fraction": np.array([0.0, *self.fractions, 1.0]),
            "size": np.array(sizes, np.float64),
            "probability": found.probabilities[:, case.target],
            "accuracy": (found.logits.argmax(axis=1) == case.target).astype(np.float64),
        }
        return Measured(float(sizes[-1]), curves)


@dataclass(frozen=True)
class InformationCurve(Revealed):
    """A curve of a score over information."""

    score: ClassVar[str]
    """Which curve of `Revealed` it is."""

    @property
    def parts(self) -> tuple[Metric, ...]:
        """The images, which both curves share."""
        return (Revealed(self.fractions, self.substrate, self.codec),)

    def probes(self, case: Case) -> Iterator[Image]:
        """None of its own."""
        return iter(())

    def measure(self, case: Case, found: Found) -> Measured:
        """The area under the curve."""
        seen = found.parts[0].curves
        size, score = seen["size"], seen[self.score]
        if size[-1] <= size[0] or score[-1] <= score[0] or seen["probability"][-1] < self.least:
            return Measured(float("nan"), {"information": GRID, "score": np.full(len(GRID), np.nan)})
        information = np.clip((size - size[0]) / (size[-1] - size[0]), 0, 1)
        gained = np.clip((score - score[0]) / (score[-1] - score[0]), 0, 1)
        if self.monotonous:
            gained = np.maximum.accumulate(gained)
        order = np.lexsort((gained, information))
        curve = np.interp(GRID, information[order], gained[order])
        return Measured(area(GRID, curve), {"information": GRID, "score": curve})
