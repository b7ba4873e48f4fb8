"""The compiled recurrence of MFABA against its float64 twin, and every edge of its numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slots import Slots, at, same_bits
from twins import SMOOTH_RADIUS, Walk, mfaba, relative_error

from fluxpath import kernels
from fluxpath.runtime import Status

LOW, HIGH = -0.25, 1.125
FEATURES = [1, 3, 15, 17, 1000]
VARIANTS = [(a, r, p) for a in ("sharp", "smooth") for r in ("trapezoid", "left") for p in ("taylor", "norm")]
OUTPUTS = ("point", "pending", "sum", "step", "status", "target", "length", "pending_length")


def settings(ascent="sharp", rule="trapezoid", path="taylor", max_steps=50, step_size=0.1, **more):
    return kernels.Mfaba(
        sharp=ascent == "sharp",
        trapezoid=rule == "trapezoid",
        norm_path=path == "norm",
        max_steps=max_steps,
        step_size=step_size,
        radius=math.inf if ascent == "sharp" else SMOOTH_RADIUS,
        **{"low": LOW, "high": HIGH, **more},
    )


class Script:
    """A model that answers the same whatever it is asked: gradients in turn, class 0 until the last."""

    def __init__(self, features: int, length: int, seed: int, leaves: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.image = rng.random(features).astype(np.float32)
        # A common part, as a real walk has it: the attribution is not all cancellation.
        self.gradients = (rng.standard_normal(features) + rng.standard_normal((length, features)) / 4).astype(
            np.float32
        )
        self.scales = rng.uniform(0.1, 2.0, length).astype(np.float32)
        self.labels = [0] * (length - 1) + [int(leaves)]

    def twin(self, **method) -> Walk:
        turn = iter(range(len(self.labels)))

        def model(_):
            j = next(turn)
            return 0.0, self.labels[j], self.gradients[j].astype(np.float64) * float(self.scales[j])

        return mfaba(model, self.image.astype(np.float64), **method, low=LOW, high=HIGH)


def play(slots: Slots, scripts: dict[int, Script], method, visited=None) -> None:
    """Advance the lanes in these slots together, each with its own script, until all ended."""
    for slot, script in scripts.items():
        slots.begin(slot, script.image)
    going = list(scripts)
    while going:
        for slot in going:
            script, j = scripts[slot], int(slots.step[slot])
            slots.model(slot, script.gradients[j], script.labels[j], script.scales[j])
        slots.kernel.advance_mfaba(at(*going), method)
        if visited is not None:
            visited.append(slots.point[going[0]].copy())
        going = [slot for slot in going if slots.running(slot)]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_every_step_and_the_sum_are_the_twins(ascent, rule, path, features):
    method = {"ascent": ascent, "rule": rule, "path": path, "step_size": 0.07}
    script = Script(features, 8, seed=features)
    twin = script.twin(**method)
    slots, visited = Slots(1, features), []
    play(slots, {0: script}, settings(**method), visited)
    for point, true in zip(visited, [*twin.points[1:], twin.points[-1]], strict=True):
        assert np.linalg.norm(point - true) < 1e-6 * np.linalg.norm(script.image)
    assert (slots.step[0], slots.status[0]) == (twin.steps, twin.status) == (7, Status.BOUNDARY)
    # The norm path multiplies with x_0 - x_n, the difference of two rounded points.
    assert relative_error(slots.sum[0], twin.values) < (1e-6 if path == "taylor" else 3e-6)


@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_the_walk_ends_at_max_steps(ascent, rule, path):
    method = {"ascent": ascent, "rule": rule, "path": path, "step_size": 0.02, "max_steps": 4}
    script = Script(15, 5, seed=3, leaves=False)
    slots = Slots(1, 15)
    play(slots, {0: script}, settings(**method))
    twin = script.twin(**method)
    assert (slots.step[0], slots.status[0]) == (twin.steps, twin.status) == (4, Status.MAX_STEPS)
    assert relative_error(slots.sum[0], twin.values) < 1e-6


def test_a_step_is_taken_even_where_the_target_is_not_predicted():
    slots = Slots(1, 2)
    slots.begin(0, np.array([0.5, 0.5], np.float32), target=1)
    slots.model(0, np.array([1.0, 0.0]), label=0)
    slots.kernel.advance_mfaba(at(0), settings())
    assert slots.running(0) and slots.step[0] == 1 and slots.target[0] == 1
    slots.kernel.advance_mfaba(at(0), settings())
    assert slots.status[0] == Status.BOUNDARY


def test_sign_of_zeros_and_of_the_smallest_numbers():
    gradient = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-45, -1e-45, 1e30, -1e30], np.float32)
    slots = Slots(1, 8)
    slots.begin(0, np.full(8, 0.5, np.float32))
    slots.model(0, gradient)
    slots.kernel.advance_mfaba(at(0), settings("smooth", step_size=0.125))
    assert slots.pending[0].tolist() == [0, 0, -0.125, 0.125, -0.125, 0.125, -0.125, 0.125]
    assert slots.point[0].tolist() == [0.5, 0.5, 0.375, 0.625, 0.375, 0.625, 0.375, 0.625]


@pytest.mark.parametrize("size", [1e-42, 1e-38, 1e-30, 1e30, 1e37])
def test_a_gradient_of_any_size_has_its_direction(size):
    """Float32 overflows in the norm of 1e30, and in one over that of 1e-42."""
    ones = np.array([1, -1, 0, 1, 1], np.float32)
    slots = Slots(1, 5)
    slots.begin(0, np.full(5, 0.5, np.float32))
    slots.model(0, ones * np.float32(size))
    slots.kernel.advance_mfaba(at(0), settings())
    assert slots.running(0) and np.isfinite(slots.sum[0]).all()
    # Where float32 has few digits of the gradient left, a step may be shorter, but not elsewhere to.
    length = 0.05 if size >= 1e-38 else float(np.abs(slots.pending[0]).max())
    assert 0 < length <= 0.0500001
    np.testing.assert_allclose(slots.pending[0], -length * ones, rtol=1e-6)
    if size > 1e-38:
        np.testing.assert_allclose(slots.sum[0], 0.5 * np.abs(ones) * size * 0.05, rtol=1e-6)


@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_a_zero_gradient_ends_the_walk_where_it_is(ascent, rule, path):
    method = {"ascent": ascent, "rule": rule, "path": path, "step_size": 0.05}
    for length in (1, 4):
        script = Script(17, length, seed=7, leaves=False)
        script.gradients[-1] = -0.0
        slots = Slots(1, 17)
        play(slots, {0: script}, settings(**method))
        twin = script.twin(**method)
        assert (slots.step[0], slots.status[0]) == (length - 1, Status.ZERO_GRADIENT)
        assert relative_error(slots.sum[0], twin.values) < 1e-6
        assert np.isfinite(slots.sum[0]).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["gradient", "scale"])
@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_nan_and_infinity_end_the_walk_and_change_nothing_else(ascent, rule, path, where, bad):
    method = settings(ascent, rule, path)
    slots = Slots(1, 33)
    slots.begin(0, np.full(33, 0.5, np.float32))
    slots.model(0, np.ones(33))
    slots.kernel.advance_mfaba(at(0), method)
    slots.arrays[where][0, ...] = 1.0
    slots.arrays[where].reshape(-1)[-1] = bad
    before = slots.copy()
    slots.kernel.advance_mfaba(at(0), method)
    assert slots.status[0] == Status.NON_FINITE
    for name in set(OUTPUTS) - {"status"}:
        assert same_bits(slots.arrays[name], before[name])


def test_the_range_stops_a_step_exactly():
    image = np.array([0.0625, 0.9375, 0.5, LOW, HIGH], np.float32)
    slots = Slots(1, 5)
    slots.begin(0, image)
    slots.model(0, np.array([2.0, -2.0, 0.0, 1.0, -1.0]), scale=0.5)
    slots.kernel.advance_mfaba(at(0), settings(step_size=10.0))
    assert slots.point[0].tolist() == [LOW, HIGH, 0.5, LOW, HIGH]
    assert slots.pending[0].tolist() == [-0.3125, 0.1875, 0.0, 0.0, 0.0]
    assert slots.sum[0].tolist() == [0.15625, 0.09375, 0.0, 0.0, 0.0]  # -scale * gradient * pending / 2


def test_the_smooth_walk_stays_within_its_radius():
    image = np.array([0.5, 0.5, 0.125], np.float32)
    slots = Slots(1, 3)
    slots.begin(0, image)
    for _ in range(4):
        slots.model(0, np.array([1.0, -1.0, 1.0]))
        slots.kernel.advance_mfaba(at(0), settings("smooth", step_size=0.125, low=0.0, high=1.0))
    np.testing.assert_allclose(slots.point[0], [0.2, 0.8, 0.0], atol=1e-7)
    np.testing.assert_allclose(slots.pending[0], [0.0, 0.0, 0.0], atol=1e-7)


def test_without_a_range_the_walk_is_free():
    slots = Slots(1, 2)
    slots.begin(0, np.array([1e6, -1e6], np.float32))
    slots.model(0, np.array([1.0, 0.0]))
    slots.kernel.advance_mfaba(at(0), settings(step_size=5e5, low=-math.inf, high=math.inf))
    assert slots.point[0].tolist() == [5e5, -1e6]


@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_slots_that_are_not_listed_keep_every_bit(ascent, rule, path):
    slots = Slots(6, 19)
    for slot in (1, 4):
        slots.begin(slot, np.full(19, 0.5, np.float32))
        slots.model(slot, np.linspace(-1, 1, 19))
    before = slots.copy()
    slots.kernel.advance_mfaba(at(4, 1), settings(ascent, rule, path))
    for name, array in slots.arrays.items():
        assert same_bits(array[[0, 2, 3, 5]], before[name][[0, 2, 3, 5]])
    for name in ("point", "pending", "step"):
        assert not same_bits(slots.arrays[name][[1, 4]], before[name][[1, 4]])


@pytest.mark.parametrize("features", [17, 1 << 14], ids=["one thread", "OpenMP"])
@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_one_slot_and_many_give_the_same_bits(ascent, rule, path, features):
    """8 lanes of 2^14 elements are above the threshold from which threads share the lanes."""
    method = settings(ascent, rule, path, step_size=0.03)
    scripts = {slot: Script(features, 2 + slot % 3, seed=slot) for slot in range(8)}
    many = Slots(8, features)
    play(many, dict(reversed(scripts.items())), method)
    for slot, script in scripts.items():
        alone = Slots(1, features, seed=99)
        play(alone, {0: script}, method)
        for name in OUTPUTS:
            assert same_bits(many.arrays[name][slot], alone.arrays[name][0])
