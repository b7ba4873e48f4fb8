"""Neighbours, and how far their explanations are."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, with_values

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import AverageSensitivity, MaxSensitivity, measure
from fluxpath.runtime.metrics.robustness.sensitivity import Sensitivity


def test_neighbours_are_within_the_radius_and_the_range():
    first, second = cases(Small(low=-1.0, high=3.0), 2)
    near = list(Sensitivity(5, 0.1).neighbours(first))
    assert len({image.tobytes() for image in (*near, *Sensitivity(5, 0.1).neighbours(second))}) == 10
    for image in near:
        assert 0.35 < np.abs(image - first.image).max() <= 0.4 + 1e-6
        assert image.min() >= -1 and image.max() <= 3
    (edge,) = cases(Small(), 1)
    assert all(i.min() >= 0 and i.max() <= 1 for i in Sensitivity(5, 0.5).neighbours(edge))


def test_neighbours_are_explained_once_for_the_same_class():
    model = Small()
    (case,) = cases(model, 1)
    case.attribution.target[0] = (case.target + 1) % 4
    metrics = [MaxSensitivity(3), AverageSensitivity(3)]
    (found,) = measure(model, [case], metrics)
    assert model.explained == [3]
    values = case.values.astype(np.float64)
    for k, image in enumerate(Sensitivity(3).neighbours(case)):
        change = np.linalg.norm(model.gradient(image, case.target) - values) / np.linalg.norm(values)
        assert found[metrics[0]].curves["change"][k] == pytest.approx(change, abs=1e-6)


def test_of_nothing_there_is_no_relative_change():
    model = Small()
    (case,) = cases(model, 1)
    zero = with_values(case, 0 * case.values)
    assert np.isnan(measured(model, zero, MaxSensitivity(2)).value)


@pytest.mark.parametrize("settings", [{"samples": 0}, {"radius": 0.0}, {"radius": -1}])
def test_settings_are_checked(settings):
    with pytest.raises(InputError, match=f"{next(iter(settings))} is"):
        MaxSensitivity(**settings)
