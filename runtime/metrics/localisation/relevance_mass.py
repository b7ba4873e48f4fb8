"""Relevance mass accuracy: which share of the attribution lies on the object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.checks import need, plain
from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.layout import mask_of, relevance


@dataclass(frozen=True)
class RelevanceMass(Metric):
    """Relevance mass accuracy: Arras, Osman, Samek: "CLEVR-XAI", Information Fusion 2022, Eq. 8.

        sum of positive attributions in the mask / sum of all positive attributions

    A pixel's attribution is the sum over its channels, of which the positive part counts ("sum,pos" in the
    paper). signed: divide plain sums, as Quantus does, which can leave [0, 1] and has no meaning where the
    whole sum is near 0. NaN where there is no mask, it is empty, or the divisor is 0. At random a map gets
    the mask's share of the picture. Needs no evaluation.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"
    needs_mask: ClassVar[bool] = True

    signed: bool = False

    def __post_init__(self) -> None:
        plain(self)
        need(isinstance(self.signed, bool), f"signed is {self.signed!r}, it must be True or False")

    def measure(self, case: Case, found: Found) -> Measured:
        """The share."""
        mask, values = mask_of(case), relevance(case)
        if not self.signed:
            values = np.maximum(values, 0)
        total = float(values.sum())
        if mask is None or not mask.any() or total == 0:
            return Measured(math.nan)
        return Measured(float(values[mask].sum()) / total)
