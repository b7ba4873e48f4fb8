"""DiffID: how much more of the prediction the most relevant pixels keep than the least relevant ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fluxpath.checks import one_of
from fluxpath.runtime.metrics.base import Case, Found, Measured
from fluxpath.runtime.metrics.removal.game import area
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion
from fluxpath.runtime.metrics.substrates import Substrate


@dataclass(frozen=True)
class DiffID(InsertionMinusDeletion):
    """DiffID: Yang, Akhtar, Wen, Mian: "Local Path Integration for Attribution", AAAI 2023, by its code.

    At each share r of removed pixels, r = k / steps: whether the target is still the best class ("accuracy")
    without the share r of the least relevant pixels, minus whether it is without that share of the most
    relevant. Or of="output": the target's logit there over its logit at the image. Removed pixels become the
    mean of all elements that are left. The value is the area under the difference over r, in [-1, 1] for
    "accuracy"; over many images its mean is the paper's difference in accuracy.

    Pixels are ranked by the sum of their channels' absolute attributions (absolute=True); of equal ones the
    lower number comes first. The authors' code ranks each channel's copy of that sum, so that a pixel may
    lose one channel before another, in no defined order; and compares with the true label, here it is the
    explained class. Settings: see `Game`.

    Curves: "fraction" removed, "insertion" (the least relevant removed) and "deletion", of what `of` says.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    substrate: Substrate | tuple[Substrate, ...] = "kept-mean"
    steps: int = 10
    absolute: bool = True
    of: Literal["accuracy", "output"] = "accuracy"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("of", self.of, ("accuracy", "output"))

    def measure(self, case: Case, found: Found) -> Measured:
        """The area between the two curves."""
        insertion, deletion = (
            part.curves["accuracy" if self.of == "accuracy" else "logit"] for part in found.parts
        )
        whole = 1.0 if self.of == "accuracy" else deletion[0]
        fraction = found.parts[1].curves["fraction"]
        with np.errstate(divide="ignore", invalid="ignore"):
            kept, lost = insertion[::-1] / whole, deletion / whole
        return Measured(
            area(fraction, kept - lost), {"fraction": fraction, "insertion": kept, "deletion": lost}
        )
