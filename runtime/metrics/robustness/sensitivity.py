"""What the two sensitivities share: how far the explanations of neighbours are from the image's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.checks import plain, positive, whole
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.layout import width, within
from fluxpath.runtime.metrics.noise import generator


@dataclass(frozen=True)
class Sensitivity(Metric):
    """The relative change of the explanation at random neighbours; see `MaxSensitivity`.

    Curves: "change" float64 [samples]. Its value is their mean.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    samples: int = 10
    radius: float = 0.02

    def __post_init__(self) -> None:
        plain(self)
        whole("samples", self.samples, 1)
        positive("radius", self.radius)

    def neighbours(self, case: Case) -> Iterator[Image]:
        """Each element of the image moved uniformly within the radius, and clipped to the range."""
        reach = self.radius * width(case)
        for sample in range(self.samples):
            noise = generator(case, "sensitivity", sample).uniform(-reach, reach, case.image.shape)
            yield within(case, case.image + noise)

    def measure(self, case: Case, found: Found) -> Measured:
        """||a(y) - a(x)|| / ||a(x)|| for each neighbour y; NaN where a(x) is zero."""
        values = case.values.astype(np.float64)
        size = float(np.linalg.norm(values))
        moved = (found.attributions.astype(np.float64) - values).reshape(self.samples, -1)
        change = np.linalg.norm(moved, axis=1) / size if size > 0 else np.full(self.samples, np.nan)
        return Measured(float(change.mean()), {"change": change})


@dataclass(frozen=True)
class OfSensitivity(Sensitivity):
    """A number made of the changes, which are computed once for all of them."""

    @property
    def parts(self) -> tuple[Metric, ...]:
        """The changes."""
        return (Sensitivity(self.samples, self.radius),)

    def neighbours(self, case: Case) -> Iterator[Image]:
        """None of its own."""
        return iter(())
