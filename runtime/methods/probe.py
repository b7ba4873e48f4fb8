"""One evaluation at the image, for its score, its predicted class and how far the boundary is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from fluxpath import kernels
from fluxpath.methods import kind_of
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.status import Status


@dataclass(frozen=True)
class Probe(Method):
    """The engine runs it for methods whose lanes do not start at the image; its attribution is not used.

    measured: the `Method.reach` of that method.
    """

    measured: Literal["whole", "signs"] | None = None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """End after one evaluation; without a finite score the predicted class is unknown too."""
        if self.measured is not None:
            lanes.kernel.advance_reach(slots, _settings(self.measured, lanes.objective))
            return
        known = np.isfinite(lanes.score[slots])
        lanes.status[slots] = np.where(known, Status.COMPLETE, Status.NON_FINITE)


@lru_cache(maxsize=16)
def _settings(measured: str, objective: str) -> kernels.Reach:
    return kernels.Reach(objective=kind_of(objective), signs=measured == "signs")
