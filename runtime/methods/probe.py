"""One evaluation at the image, for its score and predicted class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.status import Status


@dataclass(frozen=True)
class Probe(Method):
    """What the engine runs before methods whose lanes start elsewhere; its attribution is not used."""

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """One evaluation is all; without a score there is no predicted class either."""
        known = np.isfinite(lanes.score[slots])
        lanes.status[slots] = np.where(known, Status.COMPLETE, Status.NON_FINITE)
