"""Images gathered on a device, against sums in numpy, a lane after the other, and float64."""

from __future__ import annotations

import numpy as np
import pytest
from gathered import KINDS, SLOTS, Gathered
from slots import same_bits
from twins import relative_error

from fluxpath.runtime.lanes.gathering import Total

SIZES = [1, 3, 4, 7, 1000, 1024, 1028, 2050]


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_lanes_are_added_in_their_order_to_the_last_bit(device, kind, features):
    """Two images of which lanes end together, in any order, over several ticks, and one beside them."""
    both = Gathered(device, features, [kind, kind, Total])
    both.tick((0, 1), (0, 0), (1, 5), (1, 2), (2, 0))
    both.tick((0, 3), (1, 0), (0, 2), (1, 1))
    both.tick()
    both.tick((1, 4), (1, 3), (0, 5), (0, 6), (0, 4), (2, 1))
    for image in range(3):
        given, expected = both.result(image)
        assert same_bits(given, expected)
        exact, terms = kind if image < 2 else Total, both.exact(image)
        wanted = terms.sum(0) if exact is Total else terms.var(0)
        assert relative_error(given, wanted) < 1e-6
    assert both.sums.sums.used == both.sums.moments.used == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_any_order_gives_the_same_bits(device, kind, order):
    numbers = {"ascending": list(range(13)), "descending": list(range(13))[::-1]}
    lanes = numbers.get(order) or np.random.default_rng(3).permutation(13).tolist()
    both = Gathered(device, 10, [kind])
    while lanes:
        both.tick(*((0, number) for number in lanes[:SLOTS]))
        del lanes[:SLOTS]
    assert same_bits(*both.result(0))


def test_a_single_minus_zero_is_zero_as_in_numpy(device):
    for kind in KINDS:
        both = Gathered(device, 6, [kind])
        both.tick((0, 0))
        given, expected = both.result(0)
        assert same_bits(given, expected) and not np.signbit(given[::5]).any()
