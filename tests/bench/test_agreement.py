"""Whether two sides compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fluxpath.bench.agreement import FAR, agreement, distances, limits_of
from fluxpath.manifest import Manifest

VALUES = np.random.default_rng(0).standard_normal((8, 3, 4)).astype(np.float32)
STEPS = np.arange(8)
MANIFEST = Manifest("x", (3, 4), 5, "softmax", 18, "a model", "logits")


def test_the_same_agrees_and_something_else_does_not() -> None:
    found = agreement((VALUES, STEPS), (VALUES, STEPS))
    assert (found.agrees, found.same_steps, found.median, found.images) == (True, 1.0, 0.0, 8)
    rounded = agreement((VALUES * np.float32(1 + 1e-5), None), (VALUES, STEPS))
    assert rounded.agrees and rounded.same_steps is None and rounded.median == pytest.approx(1e-5, rel=0.1)
    assert not agreement((VALUES * np.float32(1.01), STEPS), (VALUES, STEPS)).agrees
    assert not agreement((VALUES, STEPS + 1), (VALUES, STEPS)).agrees
    assert not agreement((np.full_like(VALUES, np.nan), STEPS), (VALUES, STEPS)).agrees


def test_one_image_that_is_far_off_does_not_decide() -> None:
    """A walk may turn elsewhere by rounding; the typical image decides, and the largest is reported."""
    off = VALUES.copy()
    off[0] += 1
    found = agreement((off, STEPS), (VALUES, STEPS))
    assert found.agrees and found.max > 0.5


def test_images_that_do_not_count() -> None:
    off = VALUES.copy()
    off[:6] += 1
    counted = np.arange(8) >= 6
    assert not agreement((off, STEPS), (VALUES, STEPS)).agrees
    assert agreement((off, STEPS), (VALUES, STEPS), counted=counted).images == 2
    assert agreement((off, STEPS), (VALUES, STEPS), counted=counted).agrees
    none = agreement((off, STEPS), (VALUES, STEPS), counted=np.zeros(8, bool))
    assert none.agrees and none.images == 0 and "not comparable" in str(none)


def test_noise_of_its_own_is_held_against_that_of_another_seed() -> None:
    rng = np.random.default_rng(1)
    noisy = [VALUES + 0.1 * rng.standard_normal(VALUES.shape).astype(np.float32) for _ in range(3)]
    assert agreement((noisy[0], None), (noisy[1], None), other_seeds=noisy[2:]).agrees
    assert not agreement((noisy[0], None), (noisy[1], None)).agrees
    assert not agreement((-noisy[0], None), (noisy[1], None), other_seeds=noisy[2:]).agrees


@pytest.mark.parametrize("noise", [0.1, 0.4, 0.7, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_however_large_the_noise_what_is_unrelated_does_not_agree(noise: float, seed: int) -> None:
    """Where seeds are so far apart that everything might agree, nothing is said."""
    rng = np.random.default_rng(seed)
    shape = (8, 100)
    mean, unrelated = rng.standard_normal((2, *shape))
    seeds = [mean + noise * rng.standard_normal(shape) for _ in range(4)]
    right, wrong = (
        agreement((found, None), (seeds[0], None), other_seeds=seeds[1:3]) for found in (seeds[3], unrelated)
    )
    assert right.agrees
    if wrong.agrees:
        assert wrong.median is None and noise >= 0.5 and "not comparable: fluxpath's own seeds" in str(wrong)


def test_half_precision_is_held_to_what_rounding_leaves() -> None:
    off = VALUES * np.float32(1.1)
    half = limits_of(replace(MANIFEST, precision="bfloat16"))
    assert agreement((off, STEPS + 1), (VALUES, STEPS), half).agrees
    assert not agreement((-VALUES, STEPS), (VALUES, STEPS), half).agrees


def test_of_many_walks_a_few_may_turn_elsewhere() -> None:
    steps = 40 + STEPS
    for off, walks, agrees in ((2, 20, True), (3, 20, False), (1, 1, False), (1, 9, False)):
        assert agreement((VALUES, steps + off), (VALUES, steps), walks=walks).agrees == agrees


def test_what_float32_lost_at_verification_both_sides_may_lose() -> None:
    distances = [limits_of(replace(MANIFEST, error=error)).distance for error in (None, 1e-6, 5e-3, 0.9)]
    assert distances == [1e-3, 1e-3, 1e-2, 3e-2]


@pytest.mark.parametrize(
    ("rounding", "distance", "agrees", "said"),
    [
        (0.0, 0.01, False, "1e-02 apart, 100% same steps (by rounding alone: 0e+00)"),
        (0.01, 0.02, True, "2e-02 apart, 100% same steps (by rounding alone: 1e-02)"),
        (0.01, 0.05, False, "5e-02 apart, 100% same steps (by rounding alone: 1e-02)"),
        (0.2, 0.5, True, "5e-01 apart"),
        (0.3, 0.7, False, "7e-01 apart"),
        (0.5, np.nan, False, "1e+30 apart"),
        (0.5, 9.0, True, "not comparable: rounding alone moves fluxpath's own by 5e-01"),
    ],
)
def test_where_rounding_alone_moves_attributions_others_may_be_as_far(
    rounding: float, distance: float, agrees: bool, said: str
) -> None:
    off, moved = (VALUES * np.float32(1 + by) for by in (distance, rounding))
    found = agreement((off, STEPS), (VALUES, STEPS), moved=(moved, STEPS))
    assert found.agrees == agrees and said in str(found)
    assert found.rounding == pytest.approx(rounding, rel=0.01, abs=1e-6)


def test_where_rounding_alone_changes_steps_others_may_have_other_steps() -> None:
    half = STEPS + (STEPS % 2)
    assert not agreement((VALUES, half), (VALUES, STEPS)).agrees
    assert not agreement((VALUES, half), (VALUES, STEPS), moved=(VALUES, STEPS)).agrees
    assert agreement((VALUES, half), (VALUES, STEPS), moved=(VALUES, half)).agrees
    assert not agreement((VALUES, STEPS + 1), (VALUES, STEPS), moved=(VALUES, half)).agrees


def test_distances_where_nothing_is_attributed() -> None:
    zero = np.zeros_like(VALUES)
    assert (distances(zero, zero) == 0).all()
    assert (distances(VALUES, zero) == FAR).all()
    assert (distances(zero, VALUES) == 1).all()
