"""The entropy of an attribution: over how many pixels it spreads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.layout import relevance


@dataclass(frozen=True)
class Entropy(Metric):
    """Complexity: Bhatt, Weller, Moura: "Evaluating and Aggregating Feature-based Model Explanations", IJCAI
    2020, Definition 4.

        - sum_i q_i ln q_i,     q_i the pixel's share of the sum of absolute attributions, 0 ln 0 = 0

    In nats: 0 where one pixel has everything, ln(n) where all n have the same. A pixel's attribution is the
    sum over its channels, of which the absolute value is taken. Quantus' Complexity adds 1e-12 inside the
    logarithm, which changes less than that times n. NaN where the attribution is zero. Needs no evaluation,
    has no settings.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def measure(self, case: Case, found: Found) -> Measured:
        """The entropy."""
        sizes = np.abs(relevance(case))
        total = float(sizes.sum())
        if total == 0:
            return Measured(math.nan)
        shares = sizes[sizes > 0] / total
        return Measured(float(-(shares @ np.log(shares))))
