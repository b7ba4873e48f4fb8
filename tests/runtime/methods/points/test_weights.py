"""The random numbers that the methods of independent points share."""

from __future__ import annotations

import numpy as np
import pytest
from point_twins import uniform

from fluxpath.runtime.methods.points.weights import uniforms


@pytest.mark.parametrize("seed", [0, 1, 2**33 + 5, 2**64 - 1])
def test_they_are_the_twins(seed):
    wanted = [[uniform(seed, lane, word) for word in range(4)] for lane in range(6)]
    np.testing.assert_allclose(uniforms(seed, 6), wanted, rtol=1e-15)


def test_a_row_depends_on_the_seed_and_its_number_alone():
    many = uniforms(3, 1000)
    assert many[:7].tobytes() == uniforms(3, 7).tobytes()
    assert not np.intersect1d(many, uniforms(4, 1000)).size
    assert ((many > 0) & (many < 1)).all() and abs(many.mean(axis=0) - 0.5).max() < 0.05
