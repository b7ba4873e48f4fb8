"""Average sensitivity: how far an explanation changes, on average, where the image hardly does."""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.runtime.metrics.base import Case, Found, Measured
from fluxpath.runtime.metrics.robustness.sensitivity import OfSensitivity


@dataclass(frozen=True)
class AverageSensitivity(OfSensitivity):
    """The mean of what `MaxSensitivity` is the maximum of, by the same neighbours: Bhatt, Weller, Moura:
    "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020, Definition 2, with the relative
    L2 distance and uniform neighbours.

        mean over neighbours y of ||a(y) - a(x)||_2 / ||a(x)||_2

    Settings, neighbours, clipping and NaN: see `MaxSensitivity`. Quantus' AvgSensitivity is the same with 200
    neighbours within 0.2. Measured together, both cost `samples` explanations once.
    """

    def measure(self, case: Case, found: Found) -> Measured:
        """The mean change."""
        change = found.parts[0].curves["change"]
        return Measured(float(change.mean()), {"change": change})
