"""An image's lanes in the order of their numbers, whichever ends first."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images
from uneven import Uneven, in_order

from fluxpath.runtime.lanes.gathering import InOrder, Total, Variance


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 50])
def test_lanes_are_added_up_in_their_order(slots):
    """Float32 sums depend on it, and the slots must not show."""
    result = explain(LinearSession(), some_images(4), Uneven(), slots)
    assert (result.values == in_order()).all()
    assert result.steps.tolist() == [sum(5 * k % 7 + 1 for k in range(7))] * 4


@pytest.mark.parametrize(("collector", "of"), [(Total, np.sum), (Variance, np.var)])
def test_what_is_collected_is_the_sum_or_the_variance_of_the_rows(collector, of):
    rows = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    collected = collector(5)
    for row in rows:
        collected.add(row)
    np.testing.assert_allclose(collected.result(), of(rows.astype(np.float64), axis=0), rtol=1e-5)
    assert collected.result().dtype == np.float32


def test_a_lane_that_comes_early_is_kept_though_its_slot_is_used_again():
    class Listed:
        def __init__(self):
            self.rows = []

        def add(self, values):
            self.rows.append(values.tolist())

        def result(self):
            return np.float32([len(self.rows)])

    rows, listed = np.zeros((2, 1), np.float32), Listed()
    gathering = InOrder(rows, listed)
    for number, slot in ((2, 0), (0, 1), (3, 0), (1, 0)):
        rows[slot] = number
        gathering.take(number, slot)
    assert listed.rows == [[0], [1], [2], [3]]
    values = np.zeros(1, np.float32)
    gathering.result(values)
    assert values == 4
