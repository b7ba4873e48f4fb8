"""Relevance rank accuracy: which share of the object's size the highest pixels cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.layout import Layout, mask_of, ranked


@dataclass(frozen=True)
class RelevanceRank(Metric):
    """Relevance rank accuracy: Arras, Osman, Samek: "CLEVR-XAI", Information Fusion 2022, Eq. 9.

        |the K pixels with the largest attribution, that lie in the mask| / K,     K the size of the mask

    A pixel's attribution is the sum over its channels, with its sign; of equal ones the lower number, by
    rows, comes first (in Quantus in no defined order). NaN where there is no mask, or it is empty. At random
    a map gets the mask's share of the picture. Needs no evaluation, has no settings.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"
    needs_mask: ClassVar[bool] = True

    def measure(self, case: Case, found: Found) -> Measured:
        """The share."""
        mask = mask_of(case)
        if mask is None or not mask.any():
            return Measured(math.nan)
        first = ranked(case)[: int(mask.sum())] % Layout(case.values.shape).pixels
        return Measured(float(mask[first[:, 0]].mean()))
