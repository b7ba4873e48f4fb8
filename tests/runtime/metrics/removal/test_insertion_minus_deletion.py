"""Insertion minus deletion."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases
from metric_twins import game, gaussian, pixel_order

from fluxpath.runtime.metrics import Deletion, Insertion, InsertionMinusDeletion, measure


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        expected, order = 0.0, pixel_order(case.values)
        for other in (0 * image, gaussian(image, 20.0)):
            expected += game(image, other, order, 9, score, remove=False) / 2
            expected -= game(image, other, order, 9, score, remove=True) / 2
        (found,) = measure(model, [case], [InsertionMinusDeletion(steps=9)])
        assert found[InsertionMinusDeletion(steps=9)].value == pytest.approx(expected, abs=1e-6)


def test_its_games_are_measured_once_with_those_that_are_asked_for():
    model = Small()
    metrics = [InsertionMinusDeletion(steps=9), Insertion(("black", "blur"), 9), Deletion("blur", 9)]
    (found,) = measure(model, cases(model, 1), metrics)
    assert sum(model.batches) == 4 * 10 - 5  # image three times, each substrate once less
    curves = found[metrics[0]].curves
    assert np.array_equal(curves["insertion"], found[metrics[1]].curves["probability"])
    assert list(curves) == ["fraction", "insertion", "deletion"]
