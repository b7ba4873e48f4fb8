"""The compiled kernels of the methods of independent points: every product, every edge, nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from point_twins import uniform
from slots import Slots, at, same_bits
from twins import normals

from fluxpath import kernels
from fluxpath.runtime import Status

MULTIPLIERS = (lambda x, r: 1.0, lambda x, r: x, lambda x, r: x - r)
POWERS = (lambda g: g, abs, lambda g: g * g)


def ready(count: int, features: int) -> Slots:
    slots = Slots(count, features)
    slots.status[:] = slots.step[:] = 0
    return slots


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("features", [1, 3, 17, 1000])
@pytest.mark.parametrize("power", range(3))
@pytest.mark.parametrize("multiplier", range(3))
def test_the_sum_is_weight_times_gradient(multiplier, power, features):
    slots, weights = ready(3, features), floats(0.25, -2.0)
    image, reference, gradient = (slots.arrays[k].astype(float) for k in ("image", "pending", "gradient"))
    method = kernels.Weighted(multiplier=multiplier, power=power)
    before = slots.copy()
    slots.kernel.advance_weighted(at(2, 0), weights, method)
    for slot, weight in ((2, 0.25), (0, -2.0)):
        derivative = POWERS[power](float(slots.scale[slot]) * gradient[slot])
        wanted = weight * derivative * MULTIPLIERS[multiplier](image[slot], reference[slot])
        np.testing.assert_allclose(slots.sum[slot], wanted, rtol=1e-6, atol=1e-7)
        assert (slots.status[slot], slots.step[slot]) == (Status.COMPLETE, 1)
    for name, array in slots.arrays.items():
        assert same_bits(array[1], before[name][1])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["gradient", "scale"])
def test_nan_and_infinity_end_the_lane_and_change_nothing_else(where, bad):
    slots = ready(1, 33)
    slots.arrays[where].reshape(-1)[-1] = bad
    before = slots.copy()
    slots.kernel.advance_weighted(at(0), floats(1.0), kernels.Weighted(multiplier=2, power=0))
    assert slots.status[0] == Status.NON_FINITE
    for name in ("point", "sum", "step", "pending"):
        assert same_bits(slots.arrays[name], before[name])


@pytest.mark.parametrize("features", [1, 5, 1000])
def test_points_of_the_line_and_its_ends_to_the_last_bit(features):
    slots, shares = ready(5, features), floats(0.0, 1.0, 0.25, 0.75, 0.5)
    before = slots.copy()
    slots.kernel.start_straight(at(*range(5)), shares)
    assert same_bits(slots.point[0], before["pending"][0])
    assert same_bits(slots.point[1], before["image"][1])
    for slot in range(5):
        reference, image = (before[k][slot].astype(float) for k in ("pending", "image"))
        np.testing.assert_allclose(
            slots.point[slot], reference + shares[slot] * (image - reference), atol=1e-6
        )
    for name in set(slots.arrays) - {"point"}:
        assert same_bits(slots.arrays[name], before[name])


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5, 1000])
def test_noise_is_the_twins_and_clamped(features):
    slots, seed = ready(2, features), 2**63 + 5
    settings = {"deviation": 0.5, "seed": seed}
    slots.kernel.start_noise(at(1, 0), at(7, 2**31 - 1), low=-math.inf, high=math.inf, **settings)
    free = slots.point.copy()
    for slot, lane in ((1, 7), (0, 2**31 - 1)):
        wanted = slots.image[slot] + 0.5 * normals(seed, lane, features)
        np.testing.assert_allclose(free[slot], wanted, atol=2e-6)
    slots.kernel.start_noise(at(1, 0), at(7, 2**31 - 1), low=-0.25, high=0.5, **settings)
    assert same_bits(slots.point, np.clip(free, np.float32(-0.25), np.float32(0.5)))


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
def test_words_of_lanes_are_the_twins(seed):
    words = np.zeros((9, 4), np.uint32)
    kernels.lane_words(seed, words)
    for lane in (0, 1, 8):
        wanted = [uniform(seed, lane, word) for word in range(4)]
        np.testing.assert_allclose((words[lane] + 0.5) / 2.0**32, wanted, rtol=1e-15)


def test_arrays_that_do_not_fit_are_refused():
    slots, plain = ready(2, 4), kernels.Weighted(multiplier=0, power=0)
    for call in (
        lambda: slots.kernel.advance_weighted(at(0), floats(1, 1), plain),
        lambda: slots.kernel.start_straight(at(0, 1), floats(1)),
        lambda: slots.kernel.start_noise(at(0), at(0, 1), deviation=1.0, low=0.0, high=1.0, seed=0),
    ):
        with pytest.raises(ValueError, match="one entry per slot is needed"):
            call()
    with pytest.raises(IndexError, match="no such slot"):
        slots.kernel.start_straight(at(2), floats(0.5))
    with pytest.raises(TypeError):
        slots.kernel.start_straight(at(0), np.array([0.5]))
    with pytest.raises(TypeError):
        kernels.lane_words(0, np.zeros((2, 3), np.uint32))
