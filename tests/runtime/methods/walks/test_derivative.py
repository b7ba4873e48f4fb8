"""The derivative at the lanes' points, and the lanes that have none."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.runtime import Status
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.methods.walks.derivative import finite_derivative


def some_lanes():
    lanes = Lanes(4, (3,), 0.0, 1.0)
    lanes.gradient[:] = np.arange(12).reshape(4, 3)
    lanes.scale[:], lanes.score[:], lanes.sum[:] = [1, 2, 3, 4], 0.5, 7
    return lanes


def test_it_is_the_gradient_times_its_scale():
    lanes = some_lanes()
    slots, derivative = finite_derivative(lanes, np.array([3, 1], np.int32))
    assert slots.tolist() == [3, 1] and derivative.tolist() == [[36, 40, 44], [6, 8, 10]]
    assert (lanes.sum == 7).all() and not lanes.status.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["gradient", "scale", "score"])
def test_a_lane_without_one_ends_with_zeros_and_no_other(where, value):
    lanes = some_lanes()
    getattr(lanes, where)[1:3] = value
    slots, derivative = finite_derivative(lanes, np.array([0, 1, 3], np.int32))
    assert slots.tolist() == [0, 3] and derivative.shape == (2, 3)
    assert lanes.status.tolist() == [Status.RUNNING, Status.NON_FINITE, Status.RUNNING, Status.RUNNING]
    assert lanes.sum[:, 0].tolist() == [7, 0, 7, 7]
