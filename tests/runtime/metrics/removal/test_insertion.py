"""The insertion score against a plain twin, and against a loop written as RISE's paper tells it."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, with_values
from metric_twins import game, gaussian, pixel_order

from fluxpath.runtime.metrics import Insertion


@pytest.mark.parametrize("steps", [7, 50, 224])
@pytest.mark.parametrize("substrate", ["blur", "black", "mean", 0.3])
def test_it_is_its_twin(substrate, steps):
    model = Small()
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        other = {
            "blur": lambda: gaussian(image, 20.0),  # noqa: B023
            "black": lambda: 0 * image,  # noqa: B023
            "mean": lambda: 0 * image + image.mean(axis=(1, 2), keepdims=True),  # noqa: B023
            0.3: lambda: 0 * image + 0.3,  # noqa: B023
        }[substrate]()
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        expected = game(image, other, pixel_order(case.values), steps, score, remove=False)
        assert measured(model, case, Insertion(substrate, steps)).value == pytest.approx(expected, abs=1e-6)


def test_ties_go_to_the_lower_number():
    model = Small()
    (case,) = cases(model, 1)
    tied = with_values(case, np.round(case.values * 2))
    score = lambda x: model.probability(x, case.target)  # noqa: E731
    expected = game(case.image, 0 * case.image, pixel_order(tied.values), 80, score, remove=False)
    assert measured(model, tied, Insertion("black", 80)).value == pytest.approx(expected, abs=1e-6)


def rise(image: np.ndarray, saliency: np.ndarray, start: np.ndarray, end: np.ndarray, step: int, score):
    """RISE, Section 4.2: `step` pixels at a time, by saliency; the mean of neighbouring scores, averaged."""
    points = start.copy().reshape(len(image), -1)
    order = np.argsort(-saliency.reshape(-1), kind="stable")
    scores = [score(points.reshape(image.shape))]
    while len(order):
        now, order = order[:step], order[step:]
        points[:, now] = end.reshape(len(image), -1)[:, now]
        scores.append(score(points.reshape(image.shape)))
    return (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


@pytest.mark.parametrize("step", [1, 4, 8, 10])
def test_it_is_a_loop_as_rise_has_it(step):
    model = Small()
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        expected = rise(image, case.values.sum(axis=0), gaussian(image, 20.0), image, step, score)
        found = measured(model, case, Insertion("blur", 80 // step))
        assert found.value == pytest.approx(expected, abs=1e-6)


def test_more_is_better():
    model = Small()
    for case in cases(model, 3):
        opposite = with_values(case, -case.values)
        assert measured(model, case, Insertion()).value > measured(model, opposite, Insertion()).value
    assert Insertion.better == "higher"
