"""The completeness gap: how far the attributions are from adding up, in units of the objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric


@dataclass(frozen=True)
class CompletenessGap(Metric):
    """The convergence delta of Integrated Gradients (Sundararajan, Taly, Yan, ICML 2017, Section 5), of any
    method with a path.

        |sum attributions - (f(x_0) - f(x_n))|

    f the objective, x_0 the image, x_n where the path ended: the numerator of `ErrorRate`, which does not
    grow where the score hardly changed. Captum's `convergence_delta` is the same with its sign. Needs no
    evaluation. NaN for methods without a single end of their path. No settings.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def measure(self, case: Case, found: Found) -> Measured:
        """The gap."""
        end = case.attribution.end_score
        if end is None:
            return Measured(math.nan)
        change = float(case.attribution.score[0]) - float(end[0])
        return Measured(abs(float(case.values.sum(dtype=np.float64)) - change))
