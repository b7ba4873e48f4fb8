"""The pointing game: does the largest attribution lie on the object?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.checks import plain, whole
from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.layout import Layout, mask_of, relevance


@dataclass(frozen=True)
class PointingGame(Metric):
    """The pointing game: Zhang, Bargal, Lin, Brandt, Shen, Sclaroff: "Top-Down Neural Attention by Excitation
    Backprop", IJCV 2018, Section 4.2.

    1 where the pixel with the largest attribution, summed over its channels, lies in the mask or at most
    `tolerance` pixels from it (the paper: 15), else 0; the mean over images is the accuracy. Of equal ones
    the first pixel, by rows, counts; in Quantus any of them may hit. NaN where there is no mask, or it is
    empty. Needs no evaluation. A box is a mask. For inputs that are no pictures `tolerance` must be 0.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"
    needs_mask: ClassVar[bool] = True

    tolerance: int = 0

    def __post_init__(self) -> None:
        plain(self)
        whole("tolerance", self.tolerance, 0)

    def measure(self, case: Case, found: Found) -> Measured:
        """1 or 0."""
        mask = mask_of(case)
        if mask is None or not mask.any():
            return Measured(math.nan)
        best = int(relevance(case).argmax())
        if self.tolerance == 0:
            return Measured(float(mask[best]))
        _, width = Layout(case.values.shape).need_plane("the pointing game's tolerance", "0")
        places = np.flatnonzero(mask)
        across, down = places % width - best % width, places // width - best // width
        return Measured(float((across**2 + down**2).min() <= self.tolerance**2))
