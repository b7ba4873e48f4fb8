"""The completeness gap."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured

from fluxpath.runtime.metrics import CompletenessGap


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 3):
        change = float(case.attribution.score[0]) - float(case.attribution.end_score[0])
        total = sum(case.values.astype(np.float64).reshape(-1).tolist())
        assert measured(model, case, CompletenessGap()).value == pytest.approx(abs(total - change), abs=1e-6)


def test_without_an_end_it_is_not_defined():
    model = Small()
    (case,) = cases(model, 1)
    object.__setattr__(case.attribution, "end_score", None)
    assert np.isnan(measured(model, case, CompletenessGap()).value) and not model.batches
