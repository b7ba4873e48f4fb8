"""Sensitivity-n: do sums of attributions go with what removing the pixels changes?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, number, plain, whole
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.layout import Layout, relevance
from fluxpath.runtime.metrics.noise import generator
from fluxpath.runtime.metrics.objective import explained
from fluxpath.runtime.metrics.substrates import DEPENDENT, Substrate, as_substrate, filled


@dataclass(frozen=True)
class SensitivityN(Metric):
    """Sensitivity-n: Ancona, Ceolini, Oeztireli, Gross: "Towards better understanding of gradient-based
    attribution methods", ICLR 2018, Section 4.

    For each n the Pearson correlation, over `samples` random sets S of n pixels, between the sum of their
    attributions and f(x) - f(x without S); the value is the mean over n. A pixel is removed, and its
    attribution is summed, with all its channels; its place is black, or what `substrate` says. f is the
    objective; 1 means that attributions say exactly what removal does. A correlation of which one side is
    constant is left out; NaN if all are.

    fractions: n as shares of the pixels, at least one pixel and not all of them. samples: sets for each n,
    drawn from the case's seed. Evaluates len(fractions) * samples + 1 inputs.

    Quantus' SensitivityN removes pixels in the order of their attribution, cumulatively, and correlates over
    the images of a batch at each n: a value that depends on the batch and on nested sets, not Ancona's
    definition. Curves: "fraction", "correlation".
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    fractions: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.8)
    samples: int = 20
    substrate: Substrate = "black"

    def __post_init__(self) -> None:
        plain(self)
        given = self.fractions if isinstance(self.fractions, list | tuple) else (self.fractions,)
        for fraction in given:
            number("fractions", fraction, 0.0, 1.0)
        need(given, "fractions are none, and must be one or more shares of the pixels")
        object.__setattr__(self, "fractions", tuple(map(float, given)))
        whole("samples", self.samples, 3)
        object.__setattr__(self, "substrate", as_substrate("substrate", self.substrate))
        need(
            self.substrate not in DEPENDENT,
            f"substrate is {self.substrate!r}, it must be one that does not depend on what is removed",
        )

    def probes(self, case: Case) -> Iterator[Image]:
        """The image, and it without each of the sets."""
        yield case.image
        channels = Layout(case.image.shape).channels
        start, end = case.image.reshape(channels, -1), filled(case, self.substrate).reshape(channels, -1)
        for chosen in self._sets(case):
            work = start.copy()
            work[:, chosen] = end[:, chosen]
            yield work.reshape(case.image.shape)

    def measure(self, case: Case, found: Found) -> Measured:
        """The mean correlation."""
        score = explained(case, found)
        drops = (score[0] - score[1:]).reshape(len(self.fractions), self.samples)
        pixels = relevance(case)
        sums = np.array([pixels[chosen].sum() for chosen in self._sets(case)]).reshape(drops.shape)
        each = np.array([correlation(a, b) for a, b in zip(sums, drops, strict=True)])
        known = each[np.isfinite(each)]
        curves = {"fraction": np.array(self.fractions), "correlation": each}
        return Measured(float(known.mean()) if len(known) else float("nan"), curves)

    def _sets(self, case: Case) -> Iterator[npt.NDArray[np.int64]]:
        """The pixels of each set, the sets of one n after the other."""
        pixels = Layout(case.image.shape).pixels
        for k, fraction in enumerate(self.fractions):
            size = min(max(round(fraction * pixels), 1), max(pixels - 1, 1))
            for sample in range(self.samples):
                random = generator(case, "sensitivity-n", k * self.samples + sample)
                yield random.permutation(pixels)[:size]


def correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Pearson's; NaN where one side is constant."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")
