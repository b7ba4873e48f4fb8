"""The error rate."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured

from fluxpath.runtime.metrics import ErrorRate


def test_it_is_how_far_the_papers_ratio_is_from_one():
    model = Small()
    for case in cases(model, 3):
        start, end = float(case.attribution.score[0]), float(case.attribution.end_score[0])
        ratio = sum(case.values.astype(np.float64).reshape(-1).tolist()) / (start - end)
        assert measured(model, case, ErrorRate()).value == pytest.approx(abs(ratio - 1), rel=1e-6)


def test_without_an_end_it_is_not_defined():
    model = Small()
    (case,) = cases(model, 1)
    object.__setattr__(case.attribution, "end_score", None)
    assert np.isnan(measured(model, case, ErrorRate()).value) and not model.batches
