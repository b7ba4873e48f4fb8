"""What the two information curves share."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, probes

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import AccuracyInformationCurve, SoftmaxInformationCurve, measure
from fluxpath.runtime.metrics.information.curve import GRID, Revealed


def test_more_and_more_of_the_image_is_revealed():
    (case,) = cases(Small(), 1)
    images = probes(Revealed((0.1, 0.5)), case)
    assert [int((image == case.image).all(axis=0).sum()) for image in images] == [0, 8, 40, 80]


def test_both_curves_share_evaluations():
    model = Small()
    several = cases(model, 2)
    list(measure(model, several, [AccuracyInformationCurve(), SoftmaxInformationCurve(least=0.5)]))
    assert sum(model.batches) == 2 * 14  # half a hundredth of 80 pixels is none


def test_curves_are_on_one_grid():
    model = Small()
    for case in cases(model, 3):
        curves = measured(model, case, SoftmaxInformationCurve()).curves
        assert np.array_equal(curves["information"], GRID) and curves["score"].shape == GRID.shape


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"fractions": (0.5, 0.2)}, "fractions are .*, and must rise"),
        ({"fractions": ()}, "must rise, one or more"),
        ({"fractions": (0.5, 1.5)}, "fractions is 1.5"),
        ({"codec": "gif"}, "codec is 'gif'"),
        ({"monotonous": 2}, "monotonous is 2"),
        ({"least": -1}, "least is -1"),
        ({"substrate": "x"}, "substrate is 'x'"),
    ],
)
def test_settings_are_checked(settings, what):
    with pytest.raises(InputError, match=what):
        SoftmaxInformationCurve(**settings)
    assert SoftmaxInformationCurve(fractions=0.5).fractions == (0.5,)
