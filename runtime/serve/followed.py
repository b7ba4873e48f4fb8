"""The scores along a walk, for whoever draws them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.walk import Recorded
from fluxpath.status import Status

_NO_POINT = np.zeros(0, np.float32)


class Followed(Recorded):
    """A method that notes the score at each point of its first lane, and not the points, which are large."""

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Note the score before the lane moves on."""
        for slot in slots.tolist():
            if lanes.number[slot] == self._lane and lanes.status[slot] == Status.RUNNING:
                self._points.append((_NO_POINT, float(lanes.score[slot]), int(lanes.label[slot])))
        self._method.advance(lanes, slots)

    def scores(self) -> npt.NDArray[np.float32]:
        """Float32 [points]."""
        return np.array([score for _, score, _ in self._points], np.float32)
