"""The accuracy information curve against a plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from metric_twins import exchanged, file_size, gaussian, information_area, pixel_order

from fluxpath.runtime.metrics import AccuracyInformationCurve

FRACTIONS = (0.02, 0.1, 0.3, 0.31, 0.7)


def test_it_is_its_twin():
    model = Small((3, 16, 20))
    seen = 0
    for case in cases(model, 8):
        blurred, order = gaussian(case.image, 20.0).astype(np.float32), pixel_order(case.values)
        counts = [0, *(round(f * 320) for f in FRACTIONS), 320]
        images = [exchanged(blurred, case.image, order[:count]) for count in counts]
        sizes = [file_size(image, "png") for image in images]
        right = [float(model.logits(image).argmax() == case.target) for image in images]
        found = measured(model, case, AccuracyInformationCurve(FRACTIONS, codec="png"))
        if right[0] or not right[-1]:
            assert np.isnan(found.value)
            continue
        seen += 1
        assert found.value == pytest.approx(information_area(sizes, right), abs=1e-6)
    assert seen >= 2
