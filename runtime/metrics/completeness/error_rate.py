"""The error rate: how far the attributions are from adding up, relative to what they should add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric


@dataclass(frozen=True)
class ErrorRate(Metric):
    """The error rate of Zhu et al.: "MFABA", AAAI 2024, "error rate evaluation indicators" and Table 1.

        |sum attributions - (f(x_0) - f(x_n))| / |f(x_0) - f(x_n)|

    f the objective, x_0 the image, x_n where the method's path ended (the boundary, or a baseline). The
    paper's formula, |sum attr / (L(x_n) - L(x_0))|, is 1 where its text and table have 0: this is the
    distance of that ratio from 1. 0 is exact. Needs no evaluation. NaN for methods without a single end of
    their path (`Attribution.error_rate`). No settings.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def measure(self, case: Case, found: Found) -> Measured:
        """The error rate of the attribution."""
        return Measured(float(case.attribution.error_rate[0]))
