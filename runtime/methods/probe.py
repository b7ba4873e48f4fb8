"""One evaluation at the image, for its score and predicted class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.status import Status


@dataclass(frozen=True)
class Probe(Method):
    """The engine runs it for methods whose lanes do not start at the image; its attribution is not used."""

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """End after one evaluation; without a finite score the predicted class is unknown too."""
        known = np.isfinite(lanes.score[slots])
        lanes.status[slots] = np.where(known, Status.COMPLETE, Status.NON_FINITE)
