"""Sparseness by the Gini index."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, some, with_values
from metric_twins import gini
from quantus_model import quantus_of

from fluxpath.runtime.metrics import Gini


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 3):
        assert measured(model, case, Gini()).value == pytest.approx(gini(case.values.sum(axis=0)), abs=1e-6)


def test_ends():
    model = Small()
    assert measured(model, some(model, [5.0]), Gini()).value == pytest.approx(1 - 1 / 80)
    assert measured(model, some(model, -np.ones(80)), Gini()).value == pytest.approx(0, abs=1e-12)
    assert np.isnan(measured(model, some(model, [0.0]), Gini()).value)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus_sparseness():
    quantus, network = quantus_of(Small())
    model = Small()
    several = cases(model, 3)
    expected = quantus.Sparseness(disable_warnings=True)(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in several]),
    )
    found = [measured(model, case, Gini()).value for case in several]
    assert np.allclose(found, expected, atol=1e-5)  # it adds 1e-7 to each
    assert with_values(several[0], several[0].values).seed == several[0].seed
