"""The slot engine on a model in numpy that logs what it is asked: which points, how many, in which slots."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images
from twins import mfaba, neflag, neflag_starts

from fluxpath.runtime import MFABA, NeFLAG

SHARP = MFABA("sharp", step_size=0.02, max_steps=12)
PATHS = [MFABA("sharp", path=path, step_size=0.02, max_steps=12) for path in ("taylor", "norm", "cosine")]


@pytest.fixture
def session():
    return LinearSession()


@pytest.mark.parametrize("method", PATHS, ids=lambda m: m.path)
def test_mfaba_evaluates_the_points_of_its_walk_once_each(session, method):
    images = some_images(6)
    result = explain(session, images, method, slots=1)
    walks = [mfaba(session.gradient(x), x, step_size=0.02, max_steps=12) for x in images.astype(np.float64)]
    assert len(session.counts) == sum(session.counts) == (result.steps + 1).sum()
    np.testing.assert_allclose(session.points, np.concatenate([w.points for w in walks]), atol=1e-6)


@pytest.mark.parametrize("stop", ["flux", "label"])
def test_neflag_evaluates_the_image_and_then_its_samples(session, stop):
    images = some_images(4)
    result = explain(session, images, NeFLAG(3, 0.1, 3, stop, seed=2), slots=1)
    visited = []
    for x in images.astype(np.float64):
        walk = neflag(session.gradient(x), x, neflag_starts(x, 3, 2), stop=stop, max_steps=3)
        visited += [x, *walk.points]
    assert sum(session.counts) == len(visited) == (1 + 3 + result.steps).sum()
    np.testing.assert_allclose(session.points, visited, atol=1e-6)


def schedule(evaluations: list[int], slots: int) -> list[int]:
    """How many slots are active in each tick if one is refilled as soon as it is free."""
    waiting, active, counts = list(evaluations), [], []
    while waiting or active:
        while waiting and len(active) < slots:
            active.append(waiting.pop(0))
        counts.append(len(active))
        active = [left - 1 for left in active if left > 1]
    return counts


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 64])
def test_a_free_slot_is_refilled_in_the_same_tick(session, slots):
    result = explain(session, some_images(20), SHARP, slots)
    assert len(set(result.steps)) >= 4
    assert session.counts == schedule((result.steps + 1).tolist(), slots)


@pytest.mark.parametrize("method", PATHS, ids=lambda m: m.path)
@pytest.mark.parametrize("rule", ["trapezoid", "left"])
def test_compaction_moves_whole_lanes(session, method, rule):
    """All images at once and none waiting: every end but the last slot's moves another lane."""
    method = MFABA("sharp", rule, method.path, 12, 0.02)
    images = some_images(12)
    alone = [explain(LinearSession(), image, method, slots=1) for image in images]
    together = explain(session, images, method, slots=12)
    assert len(set(together.steps)) >= 4
    assert any(a > b for a, b in pairwise(together.steps)) and any(a < b for a, b in pairwise(together.steps))
    for i, one in enumerate(alone):
        for field in ("values", "target", "label", "steps", "status", "score", "end_score"):
            assert getattr(one, field).tobytes() == getattr(together, field)[i : i + 1].tobytes()
