"""Average sensitivity against a plain twin; Quantus' is in test_max_sensitivity.py."""

from __future__ import annotations

import math

import pytest
from metric_cases import Small, cases, measured

from fluxpath.runtime.metrics import AverageSensitivity
from fluxpath.runtime.metrics.robustness.sensitivity import Sensitivity


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 2):
        values = case.values.reshape(-1).astype(float).tolist()
        changes = [
            math.dist(values, model.gradient(image, case.target).reshape(-1).tolist()) / math.hypot(*values)
            for image in Sensitivity(6, 0.1).neighbours(case)
        ]
        expected = sum(changes) / len(changes)
        assert measured(model, case, AverageSensitivity(6, 0.1)).value == pytest.approx(expected, abs=1e-6)
