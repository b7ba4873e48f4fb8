"""Symmetric relevance gain by its own definition: the least relevant first, minus the most relevant first."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from metric_twins import game, pixel_order

from fluxpath.runtime.metrics import InsertionMinusDeletion, SymmetricRelevanceGain, measure


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        mean = 0 * image + image.mean(axis=(1, 2), keepdims=True)
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        order = pixel_order(case.values)
        most = game(image, mean, order, 8, score, remove=True)
        least = game(image, mean, order[::-1], 8, score, remove=True)
        assert measured(model, case, SymmetricRelevanceGain(steps=8)).value == pytest.approx(
            least - most, abs=1e-6
        )


def test_on_one_substrate_it_is_insertion_minus_deletion():
    model = Small()
    both = [SymmetricRelevanceGain("blur", 8), InsertionMinusDeletion("blur", 8)]
    (found,) = measure(model, cases(model, 1), both)
    assert found[both[0]].value == found[both[1]].value
    assert sum(model.batches) == 2 * 9 - 2
