"""The compiled recurrence of NeFLAG against its float64 twin, and every edge of its numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slots import Slots, at, same_bits
from twins import Walk, neflag, neflag_starts, relative_error

from fluxpath import kernels
from fluxpath.runtime import Status

LOW, HIGH, RADIUS = -0.25, 1.125, 0.25
FEATURES = [1, 3, 15, 17, 1000]
STOPS = ["flux", "label"]
OUTPUTS = ("point", "sum", "step", "status", "target")


def settings(stop="flux", max_steps=20, radius=RADIUS, low=LOW, high=HIGH):
    return kernels.Neflag(stop_at_flux=stop == "flux", max_steps=max_steps, radius=radius, low=low, high=high)


class Script:
    """A model that answers the same whatever it is asked: gradients and classes in turn."""

    def __init__(self, features: int, length: int, seed: int, agreeing: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.image = rng.random(features).astype(np.float32)
        self.gradients = rng.standard_normal((length, features)).astype(np.float32)
        # Each gradient against the one before it gives a positive flux at its sign step: no early stop.
        for j in range(1, agreeing):
            self.gradients[j] = -self.gradients[j - 1]
        self.scales = rng.uniform(0.1, 2.0, length).astype(np.float32)
        self.labels = [int(x) for x in rng.random(length) < 0.4]

    def twin(self, start: np.ndarray, **method) -> Walk:
        turn = iter(range(-1, len(self.labels)))

        def model(_):
            j = next(turn)
            if j < 0:  # the score at the image
                return 0.0, 0, np.zeros(len(self.image))
            return 0.0, self.labels[j], self.gradients[j].astype(np.float64) * float(self.scales[j])

        image, start = self.image.astype(np.float64), start.astype(np.float64)
        return neflag(model, image, [start], **method, radius=RADIUS, low=LOW, high=HIGH)


def play(slots: Slots, scripts: dict[int, Script], method, visited=None) -> None:
    """Start the lanes in these slots (each is lane number `slot` of its image) and run all to their end."""
    for slot, script in scripts.items():
        slots.begin(slot, script.image)
    slots.kernel.start_neflag(at(*scripts), at(*scripts), method, 5)
    going = list(scripts)
    while going:
        if visited is not None:
            visited.append(slots.point[going[0]].copy())
        for slot in going:
            script, j = scripts[slot], int(slots.step[slot])
            slots.model(slot, script.gradients[j], script.labels[j], script.scales[j])
        slots.kernel.advance_neflag(at(*going), method)
        going = [slot for slot in going if slots.running(slot)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("stop", STOPS)
def test_every_point_and_the_flux_are_the_twins(stop, features, seed):
    script = Script(features, 10, seed, agreeing=2 * seed)
    slots, visited = Slots(1, features), []
    play(slots, {0: script}, settings(stop, max_steps=9), visited)
    twin = script.twin(visited[0], stop=stop, max_steps=9)
    assert len(visited) == len(twin.points)
    for point, true in zip(visited, twin.points, strict=True):
        assert relative_error(point, true) < 1e-6
    assert (slots.step[0], slots.status[0]) == (twin.steps, twin.status)
    assert relative_error(slots.sum[0], twin.values) < 1e-6


def test_the_scripts_reach_every_end():
    """Else the comparison above would not have met them."""
    ends = {
        Script(15, 10, seed, 2 * seed).twin(np.full(15, 0.5), stop=stop, max_steps=3).status
        for seed in range(4)
        for stop in STOPS
    }
    assert ends == {Status.BOUNDARY, Status.NEGATIVE_FLUX, Status.MAX_STEPS}


@pytest.mark.parametrize("features", FEATURES)
def test_the_start_is_the_twins_point_of_the_sphere(features):
    slots = Slots(3, features)
    images = np.random.default_rng(1).random((3, features)).astype(np.float32)
    for slot in range(3):
        slots.begin(slot, images[slot])
    seed = 0x123456789ABCDEF0
    slots.kernel.start_neflag(at(2, 0), at(0, 7), settings(low=-9, high=9), seed)
    for slot, lane in ((2, 0), (0, 7)):
        true = neflag_starts(images[slot].astype(np.float64), 8, seed, RADIUS, -9, 9)[lane]
        np.testing.assert_allclose(slots.point[slot], true, rtol=0, atol=1e-6)
        assert np.linalg.norm(slots.point[slot] - images[slot]) == pytest.approx(RADIUS, rel=1e-5)
    assert same_bits(slots.point[1], images[1])


def test_start_and_steps_stay_in_the_range():
    slots = Slots(1, 400)
    slots.begin(0, np.linspace(0, 1, 400, dtype=np.float32))
    method = settings(radius=8.0, low=0.0, high=1.0)
    slots.kernel.start_neflag(at(0), at(0), method, 0)
    assert (slots.point.min(), slots.point.max()) == (0.0, 1.0)
    slots.model(0, np.where(np.arange(400) % 2, 1.0, -1.0))
    slots.kernel.advance_neflag(at(0), method)
    assert slots.point[0].tolist() == [1.0, 0.0] * 200


def test_sign_of_zeros_and_of_the_smallest_numbers():
    slots = Slots(1, 6)
    slots.begin(0, np.full(6, 0.5, np.float32))
    slots.model(0, np.array([0.0, -0.0, 1e-30, -1e-45, 1e30, -1e30], np.float32))
    slots.kernel.advance_neflag(at(0), settings())
    assert slots.point[0].tolist() == [0.5, 0.5, 0.25, 0.75, 0.25, 0.75]


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e30, 1e38])
def test_the_sign_of_the_flux_needs_no_size(size):
    """Products of 1e-30 vanish in float32, and sums of 1e38 overflow."""
    signs = np.array([1, -1, 1, 1, -1], np.float32)
    for flux, status in ((-1, Status.NEGATIVE_FLUX), (0, Status.RUNNING), (1, Status.RUNNING)):
        slots = Slots(1, 5)
        slots.begin(0, np.full(5, 0.5, np.float32))
        slots.step[0] = 1
        slots.point[0] += 0.25 * flux * signs
        slots.model(0, signs * np.float32(size))
        slots.kernel.advance_neflag(at(0), settings())
        assert slots.status[0] == status


@pytest.mark.parametrize("step", [0, 3])
def test_a_zero_gradient_ends_the_sample(step):
    slots = Slots(1, 3)
    slots.begin(0, np.full(3, 0.5, np.float32))
    slots.step[0] = step
    slots.model(0, np.array([0.0, -0.0, 0.0]))
    slots.kernel.advance_neflag(at(0), settings())
    assert slots.status[0] == Status.ZERO_GRADIENT and slots.step[0] == step
    assert not slots.sum.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["gradient", "scale"])
def test_nan_and_infinity_end_the_sample_and_change_nothing_else(where, bad):
    slots = Slots(1, 33)
    slots.begin(0, np.full(33, 0.5, np.float32))
    slots.model(0, np.ones(33))
    slots.arrays[where].reshape(-1)[-1] = bad
    before = slots.copy()
    slots.kernel.advance_neflag(at(0), settings())
    assert slots.status[0] == Status.NON_FINITE
    for name in set(OUTPUTS) - {"status"}:
        assert same_bits(slots.arrays[name], before[name])


def test_slots_that_are_not_listed_keep_every_bit():
    slots = Slots(6, 19)
    for slot in (1, 4):
        slots.begin(slot, np.full(19, 0.5, np.float32))
        slots.model(slot, np.linspace(-1, 1, 19))
    before = slots.copy()
    slots.kernel.start_neflag(at(4, 1), at(0, 1), settings(), 0)
    slots.kernel.advance_neflag(at(4, 1), settings())
    for name, array in slots.arrays.items():
        assert same_bits(array[[0, 2, 3, 5]], before[name][[0, 2, 3, 5]])
    assert not same_bits(slots.point[[1, 4]], before["point"][[1, 4]])


@pytest.mark.parametrize("features", [17, 1 << 14], ids=["one thread", "OpenMP"])
@pytest.mark.parametrize("stop", STOPS)
def test_one_slot_and_many_give_the_same_bits(stop, features):
    """8 lanes of 2^14 elements are above the threshold from which threads share the lanes."""
    scripts = {slot: Script(features, 6, slot, agreeing=slot % 4) for slot in range(8)}
    method = settings(stop, max_steps=5)
    many = Slots(8, features)
    play(many, dict(reversed(scripts.items())), method)
    for slot, script in scripts.items():
        alone = Slots(9, features, seed=99)
        play(alone, {slot: script}, method)
        for name in OUTPUTS:
            assert same_bits(many.arrays[name][slot], alone.arrays[name][slot])
