"""Random numbers of a case."""

from __future__ import annotations

import numpy as np
from metric_cases import Small, cases

from fluxpath.runtime.metrics import Case
from fluxpath.runtime.metrics.noise import generator


def draw(case, purpose="x", number=0):
    return generator(case, purpose, number).random(50).tolist()


def test_numbers_depend_on_seed_purpose_and_sample_alone():
    first, second = cases(Small(), 2)
    again = Case(second.image, second.attribution, seed=first.seed)
    assert draw(first) == draw(first) == draw(again)
    others = [draw(first), draw(second), draw(first, "y"), draw(first, "x", 1)]
    assert len({tuple(o) for o in others}) == 4


def test_samples_do_not_overlap():
    (case,) = cases(Small(), 1)
    long = generator(case, "x").random(4000)
    assert not set(long) & set(generator(case, "x", 1).random(100))
    assert 0.45 < np.mean(long) < 0.55


def test_any_whole_seed_will_do():
    (case,) = cases(Small(), 1)
    for seed in (-1, 2**70):
        assert len(draw(Case(case.image, case.attribution, seed=seed))) == 50
