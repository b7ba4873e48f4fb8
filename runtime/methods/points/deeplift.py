"""DeepLIFT: the multipliers of a file exported with rules="deeplift", times the step from its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.status import Status


@dataclass(frozen=True)
class DeepLIFT(Method):
    """DeepLIFT by the rescale rule (Shrikumar, Greenside, Kundaje, ICML 2017): one evaluation per image.

    values = multipliers * (image - baseline), which sum to score(image) - score(baseline). The baseline is
    not evaluated, so there is no end score.
    """

    rules: ClassVar[str] = "deeplift"

    @property
    def end_lane(self) -> int | None:
        """None: the only evaluation is at the image."""
        return None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Multiply the multipliers by image - baseline and end the lanes."""
        values = lanes.gradient[slots] * (lanes.image[slots] - lanes.baseline)
        finite = np.isfinite(values).all(axis=1) & np.isfinite(lanes.score[slots])
        lanes.sum[slots] = values
        lanes.step[slots] = 1
        lanes.status[slots] = np.where(finite, Status.COMPLETE, Status.NON_FINITE)
