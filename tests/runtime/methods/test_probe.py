"""The evaluation at the image that methods without a point there are given."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.runtime import Status
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.methods.probe import Probe


@pytest.mark.parametrize(
    ("score", "status"),
    [(0.5, Status.COMPLETE), (np.nan, Status.NON_FINITE), (-np.inf, Status.NON_FINITE)],
)
def test_it_ends_at_once_and_says_whether_there_is_a_score(score: float, status: Status) -> None:
    lanes = Lanes(2, (3,), 0, 1)
    lanes.score[:] = score
    Probe().advance(lanes, np.array([1], np.int32))
    assert lanes.status.tolist() == [Status.RUNNING, status]
    assert not lanes.sum.any() and Probe().lanes == 1 and Probe().starts_at_image
