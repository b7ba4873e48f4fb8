"""Input x Gradient: the gradient at the image times the image.

Shrikumar, Greenside, Shcherbina, Kundaje: "Not Just a Black Box: Learning Important Features Through
Propagating Activation Differences", arXiv 1605.01713, 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import TIMES_IMAGE


@dataclass(frozen=True)
class InputXGradient(Method):
    """Input x Gradient: x * grad f(x), element by element. One gradient; in units of the objective.

    It has no settings.
    """

    @property
    def end_lane(self) -> int | None:
        """None: without a path there is no end score."""
        return None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take x * gradient as the attribution."""
        lanes.kernel.advance_weighted(slots, np.ones(len(slots), np.float32), TIMES_IMAGE)
