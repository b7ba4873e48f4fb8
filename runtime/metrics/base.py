"""The base class of metrics, and what a metric is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.attribution import Attribution

Image = npt.NDArray[np.float32]
"""One input of the model, float32 [*shape], without the batch."""


@dataclass(frozen=True, eq=False)
class Case:
    """One explained image. What metrics share of it is made once, so its arrays must not change.

    image: float32 [*shape], as the model took it.
    attribution: of this one image, so that its arrays are [1, ...].
    seed: of everything random in a metric, so that an image has the same value in any order and company.
    mask: bool [h, w], the pixels that are known to matter; None where nobody knows.
    made: what metrics made of the image and the seed, such as substrates. Give the cases of one image, which
        several methods explained, the same dict, one after the other: it is made and evaluated once for all.
    """

    image: Image
    attribution: Attribution
    seed: int = 0
    mask: npt.NDArray[np.bool_] | None = None
    made: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def values(self) -> Image:
        """The attribution, float32 [*shape]."""
        values: Image = self.attribution.values[0]
        return values

    @property
    def kept(self) -> dict[Any, Any]:
        """The part of `made` that is of this very image."""
        entry: tuple[Image, dict[Any, Any]] | None = self.made.get(id(self.image))
        if entry is None or entry[0] is not self.image:  # a copy's, or that of an image that is gone
            entry = self.made[id(self.image)] = self.image, {}
        return entry[1]

    @property
    def target(self) -> int:
        """The explained class."""
        return int(self.attribution.target[0])


@dataclass(frozen=True, eq=False)
class Measured:
    """What a metric found for one image: its value (NaN where it is not defined), and curves by name.

    Of several curves, the first is what the others are drawn against.
    """

    value: float
    curves: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Found:
    """What was computed for a metric, in the order in which it asked.

    logits: float32 [probes, classes]. probabilities: float64 [probes, classes], of them.
    attributions: float32 [neighbours, *shape], by the method that made the case's attribution, of its target.
    parts: what the metrics in `Metric.parts` found.
    """

    logits: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float64]
    attributions: npt.NDArray[np.float32]
    parts: tuple[Measured, ...]


class Metric(ABC):
    """Settings of a metric: derive a frozen, hashable dataclass that says what is to be evaluated.

    A metric asks for evaluations and computes its value from the answers; it calls no model itself. So the
    probes of many images and metrics share batches, and a metric is plain arithmetic.
    """

    better: ClassVar[Literal["higher", "lower"]]
    """Which of two values speaks for an attribution."""

    needs_mask: ClassVar[bool] = False
    """Whether it is defined only where the case has a mask: `evaluate` refuses it on data without any."""

    @property
    def parts(self) -> tuple[Metric, ...]:
        """Metrics of which this one is made; each is measured once, however many need it."""
        return ()

    def probes(self, case: Case) -> Iterator[Image]:
        """Inputs at which the model is to be evaluated, made as they are needed.

        Each is copied before the next is asked for, so they can be one array that changes. The case's own
        image, and an array that is not writeable, are evaluated once, however many metrics yield them.
        """
        return iter(())

    def neighbours(self, case: Case) -> Iterator[Image]:
        """Inputs that are to be explained in the same way, of the same class; as for `probes`."""
        return iter(())

    @abstractmethod
    def measure(self, case: Case, found: Found) -> Measured:
        """The value, from what was computed for `probes`, `neighbours` and `parts`."""
