"""The Gini index: on how few pixels the attribution rests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.layout import relevance


@dataclass(frozen=True)
class Gini(Metric):
    """Sparseness by the Gini index: Chalasani, Chen, Chowdhury, Jha, Wu: "Concise Explanations of Neural
    Networks using Adversarial Training", ICML 2020, Section 5.

        sum_i (2 i - n - 1) v_i / (n sum_i v_i),     v the absolute attributions of the n pixels, rising

    0 where all pixels have the same, near 1 where one has everything. A pixel's attribution is the sum over
    its channels, of which the absolute value is taken: Quantus' Sparseness is the same for maps that are
    summed over channels. NaN where the attribution is zero. Needs no evaluation, has no settings. It says
    nothing about whether the pixels are the right ones.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    def measure(self, case: Case, found: Found) -> Measured:
        """The index."""
        rising = np.sort(np.abs(relevance(case)))
        n, total = len(rising), float(rising.sum())
        if total == 0:
            return Measured(math.nan)
        return Measured(float((2 * np.arange(1, n + 1) - n - 1) @ rising) / (n * total))
