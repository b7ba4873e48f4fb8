"""Sums and variances of an image's lanes, whichever ends first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fluxpath.runtime.lanes.gathering import InOrder, Total, Variance

ROWS = np.array([[1e8, 1.0], [3.0, -2.0], [-1e8, 0.5], [5.0, 4.0]], np.float32)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_in_which_lanes_end_does_not_show(order: tuple[int, ...]) -> None:
    rows, values = ROWS.copy(), np.zeros(2, np.float32)
    gathering = InOrder(rows, Total(2))
    for number in order:
        gathering.take(number, number)
        rows[number] = np.nan  # the slot is used again
    gathering.result(values)
    expected = np.zeros(2, np.float32)
    for row in ROWS:
        expected += row
    assert values.tobytes() == expected.tobytes()


def test_the_variance_is_that_of_float64() -> None:
    samples = (1e3 + np.random.default_rng(0).standard_normal((50, 6))).astype(np.float32)
    collector = Variance(6)
    for sample in samples:
        collector.add(sample)
    np.testing.assert_allclose(collector.result(), samples.astype(np.float64).var(axis=0), rtol=1e-6)


def test_one_sample_has_no_variance() -> None:
    collector = Variance(3)
    collector.add(np.array([1, -2, 3], np.float32))
    assert not collector.result().any()
