"""The derivative at the lanes' points, for methods written in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.status import Status


def finite_derivative(lanes: Lanes, slots: Slots) -> tuple[Slots, npt.NDArray[np.float32]]:
    """Return the slots with finite score and derivative, and their derivatives, float32 [k, features].

    The other lanes end with a sum of zero and the status NON_FINITE.
    """
    derivative = lanes.scale[slots][:, None] * lanes.gradient[slots]
    finite = np.isfinite(derivative).all(axis=1) & np.isfinite(lanes.score[slots])
    lost = slots[~finite]
    if lost.size:
        lanes.sum[lost] = 0.0
        lanes.status[lost] = Status.NON_FINITE
    return slots[finite], derivative[finite]
