"""How far the boundary is, from one evaluation: every objective, every size of number, steps in its units."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slots import Slots, at, same_bits

from fluxpath import kernels
from fluxpath.methods import ITSELF, LOG_PROBABILITY, PROBABILITY
from fluxpath.runtime import Status

ODDS = [*np.linspace(-60, 86.5, 40), 0.0, 0.5, 1e-3, -1e-3, 17.0]
GRADIENT = np.array([3.0, 0.0, -4.0], np.float32)


def measured(objective, score, scale, gradient=GRADIENT, signs=False):
    slots = Slots(1, len(gradient))
    slots.begin(0, np.full(len(gradient), 0.5, np.float32))
    slots.model(0, gradient, scale=scale, score=score)
    slots.kernel.advance_reach(at(0), kernels.Reach(objective=objective, signs=signs))
    return float(slots.reach[0]), int(slots.status[0])


def head(objective, odds):
    """Score and scale, as a graph gives them in float32."""
    e = math.exp(-abs(odds))
    likely = odds >= 0
    if objective == PROBABILITY:
        return np.float32((1 if likely else e) / (1 + e)), np.float32(e / (1 + e) ** 2)
    if objective == LOG_PROBABILITY:
        return np.float32(min(odds, 0) - math.log1p(e)), np.float32((e if likely else 1) / (1 + e))
    return np.float32(odds), np.float32(1)


@pytest.mark.parametrize("odds", ODDS)
@pytest.mark.parametrize("objective", [PROBABILITY, LOG_PROBABILITY, ITSELF])
def test_the_odds_come_from_what_the_graph_gives(objective, odds):
    """Also where the probability rounds to one: at odds of 17 and more float32 knows no other."""
    for signs, norm in ((False, 5.0), (True, 7.0)):
        far, status = measured(objective, *head(objective, odds), signs=signs)
        assert far * norm == pytest.approx(max(odds, 0.5), rel=1e-4)
        assert status == Status.COMPLETE


@pytest.mark.parametrize(
    ("objective", "score", "scale", "odds"),
    [
        (PROBABILITY, 1.0, 0.0, 87.0),  # less than float32 can express
        (PROBABILITY, 1.0, 1e-45, 87.0),
        (PROBABILITY, 0.5, 0.25000003, 0.5),  # even odds, rounded up
        (PROBABILITY, 0.0, 0.0, 0.5),
        (LOG_PROBABILITY, -0.0, 0.0, 87.0),
        (LOG_PROBABILITY, -1e-45, 1e-45, 87.0),
        (LOG_PROBABILITY, -200.0, 1.0, 0.5),
        (ITSELF, 0.0, 1.0, 0.5),
        (ITSELF, -3.0, 1.0, 0.5),
        (ITSELF, 1e30, 1.0, 87.0),
    ],
)
def test_odds_at_the_ends_of_float32(objective, score, scale, odds):
    assert measured(objective, score, scale)[0] * 5 == pytest.approx(odds, rel=1e-6)


@pytest.mark.parametrize("signs", [False, True])
def test_without_a_direction_there_is_no_distance(signs):
    for bad in (0.0, math.nan, math.inf, -math.inf):
        assert measured(PROBABILITY, 0.9, 0.09, np.array([bad, 0.0], np.float32), signs)[0] == 0.0


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e30])
def test_a_gradient_of_any_size_gives_a_finite_distance(size):
    far, _ = measured(ITSELF, 2.0, 1.0, np.array([size], np.float32))
    assert far == pytest.approx(min(2.0 / float(np.float32(size)), 1e37), rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_without_a_score_the_image_has_no_class(bad):
    assert measured(PROBABILITY, bad, 0.1)[1] == Status.NON_FINITE


def relative(ascent, **more):
    return kernels.Mfaba(
        sharp=ascent == "sharp", trapezoid=True, norm_path=False, max_steps=50, step_size=0.25,
        radius=math.inf, low=-math.inf, high=math.inf, relative=True, steady=4, growth=0.25, **more
    )  # fmt: skip


@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_steps_are_shares_of_the_distance_at_the_image_and_grow(ascent):
    """Whatever later evaluations give."""
    slots = Slots(1, 3)
    slots.begin(0, np.zeros(3, np.float32))
    lengths = []
    for j in range(9):
        slots.model(0, GRADIENT * (1 + j), scale=0.1 / (1 + j), score=0.5 + j)
        if j == 0:
            slots.model(0, GRADIENT, *(0, *head(PROBABILITY, 3.0)[::-1]))
        slots.kernel.advance_mfaba(at(0), relative(ascent))
        d = slots.pending[0].astype(np.float64)
        lengths.append(np.linalg.norm(d) if ascent == "sharp" else np.abs(d).max())
    first = 3.0 / (5.0 if ascent == "sharp" else 7.0) / 4
    assert slots.reach[0] == pytest.approx(4 * first, rel=1e-6)
    np.testing.assert_allclose(lengths, first * np.array([1, 1, 1, 1, 1.25, 1.5, 1.75, 2, 2.25]), rtol=1e-6)


def test_a_lane_that_runs_once_more_keeps_its_distance():
    """Its scale was replaced, and says nothing."""
    slots = Slots(1, 3)
    slots.begin(0, np.zeros(3, np.float32))
    slots.reach[0] = 8.0
    slots.model(0, GRADIENT, scale=1e30, score=1.0)
    slots.kernel.advance_mfaba(at(0), relative("sharp"))
    assert slots.reach[0] == 8.0 and np.linalg.norm(slots.pending[0]) == pytest.approx(2.0)


@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_a_step_without_end_is_finite(ascent):
    slots = Slots(1, 2)
    slots.begin(0, np.zeros(2, np.float32))
    slots.model(0, np.array([1e-42, 0.0], np.float32), scale=1e-30, score=1.0)
    for _ in range(9):
        slots.step[0] += 10
        slots.kernel.advance_mfaba(at(0), relative(ascent, objective=ITSELF))
        assert not np.isnan(slots.point).any() and slots.point[0, 1] == 0.0


def test_neflags_sphere_is_a_share_of_the_distance():
    method = kernels.Neflag(stop_at_flux=True, max_steps=3, radius=0.5, low=-9.0, high=9.0, relative=True)
    slots = Slots(2, 40)
    for slot, far in ((0, 3.0), (1, 0.0)):
        slots.begin(slot, np.full(40, 0.5, np.float32))
        slots.reach[slot] = far
    slots.kernel.start_neflag(at(0, 1), at(0, 1), method, 0)
    assert np.linalg.norm(slots.point[0] - 0.5) == pytest.approx(1.5, rel=1e-6)
    assert same_bits(slots.point[1], slots.image[1])  # nothing is known: the image itself
    slots.model(0, np.ones(40))
    slots.kernel.advance_neflag(at(0), method)
    assert set(slots.point[0].tolist()) == {-1.0}
