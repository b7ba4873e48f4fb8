"""Complexity by entropy."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, some
from metric_twins import entropy
from quantus_model import quantus_of

from fluxpath.runtime.metrics import Entropy


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 3):
        found = measured(model, case, Entropy()).value
        assert found == pytest.approx(entropy(case.values.astype(np.float64).sum(axis=0)), abs=1e-6)


def test_ends():
    model = Small()
    assert measured(model, some(model, [-5.0]), Entropy()).value == 0
    assert measured(model, some(model, np.ones(80)), Entropy()).value == pytest.approx(np.log(80))
    assert np.isnan(measured(model, some(model, [0.0]), Entropy()).value)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus_complexity():
    quantus, network = quantus_of(Small())
    model = Small()
    several = cases(model, 3)
    expected = quantus.Complexity(disable_warnings=True)(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in several]),
    )
    assert np.allclose([measured(model, case, Entropy()).value for case in several], expected, atol=1e-5)
