"""Metrics as they were defined elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import METRICS, PRESETS, Deletion, Insertion, measure, preset, presets


def test_every_preset_says_whose_it_is_and_can_be_measured():
    model = Small()
    for name in PRESETS:
        assert f'"{name}":' in presets.__doc__
        columns = preset(name)
        assert all(type(metric) in METRICS.values() for metric in columns.values())
        several = cases(model, 1, mask=np.ones((8, 10), bool))
        (found,) = measure(model, several, list(columns.values()))
        assert all(np.isfinite(found[metric].value) or column == "aic" for column, metric in columns.items())


def test_neflag_is_the_mean_of_black_and_blur():
    model = Small()
    columns = preset("neflag")
    singles = [Insertion("black", 224), Insertion("blur", 224), Deletion("black", 224), Deletion("blur", 224)]
    (found,) = measure(model, cases(model, 1), [*columns.values(), *singles])
    values = [found[single].value for single in singles]
    assert found[columns["insertion"]].value == pytest.approx(sum(values[:2]) / 2, abs=1e-12)
    difference = (sum(values[:2]) - sum(values[2:])) / 2
    assert found[columns["insertion-minus-deletion"]].value == pytest.approx(difference, abs=1e-12)


def published(image, values, step, start, end, score):
    """MFABA's code: each channel has an order of its own, and loses its own next pixels."""
    order = np.argsort(-values.reshape(3, -1), axis=1, kind="stable")
    points, other = start.reshape(3, -1).copy(), end.reshape(3, -1)
    scores = [score(points.reshape(image.shape))]
    for k in range(0, order.shape[1], step):
        for channel in range(3):
            now = order[channel, k : k + step]
            points[channel, now] = other[channel, now]
        scores.append(score(points.reshape(image.shape)))
    return (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


def test_mfaba_published_ranks_channels_apart():
    model = Small()
    columns = preset("mfaba-published")
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        (found,) = measure(model, [case], list(columns.values()))
        expected = published(image, case.values, 1, image, 0 * image, score)
        assert found[columns["deletion"]].value == pytest.approx(expected, abs=1e-6)
        expected = published(image, case.values, 1, 0 * image, image, score)
        assert found[columns["insertion"]].value == pytest.approx(expected, abs=1e-6)


def test_an_unknown_name():
    with pytest.raises(InputError, match="there is no preset 'risen': the nearest is rise"):
        preset("risen")
