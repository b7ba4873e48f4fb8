"""The softmax information curve against a plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from metric_twins import exchanged, file_size, gaussian, information_area, pixel_order

from fluxpath.runtime.metrics import SoftmaxInformationCurve

FRACTIONS = (0.02, 0.1, 0.3, 0.31, 0.7)


@pytest.mark.parametrize("codec", ["webp", "png"])
@pytest.mark.parametrize("monotonous", [True, False])
def test_it_is_its_twin(codec, monotonous):
    model = Small((3, 16, 20))
    seen = 0
    for case in cases(model, 6):
        blurred, order = gaussian(case.image, 20.0).astype(np.float32), pixel_order(case.values)
        counts = [0, *(round(f * 320) for f in FRACTIONS), 320]
        images = [exchanged(blurred, case.image, order[:count]) for count in counts]
        sizes = [file_size(image, codec) for image in images]
        scores = [model.probability(image, case.target) for image in images]
        found = measured(model, case, SoftmaxInformationCurve(FRACTIONS, "blur", codec, monotonous))
        if scores[-1] <= scores[0] or sizes[-1] <= sizes[0]:
            assert np.isnan(found.value)
            continue
        seen += 1
        assert found.value == pytest.approx(information_area(sizes, scores, monotonous), abs=1e-6)
    assert seen >= 2


def test_unsure_images_are_left_out_if_wanted():
    model = Small()
    for case in cases(model, 4):
        probability = model.probability(case.image, case.target)
        above = measured(model, case, SoftmaxInformationCurve(least=min(probability + 0.01, 1)))
        below = measured(model, case, SoftmaxInformationCurve(least=max(probability - 0.01, 0)))
        assert np.isnan(above.value) or probability > 0.99
        assert np.array_equal(
            below.value, measured(model, case, SoftmaxInformationCurve()).value, equal_nan=True
        )
