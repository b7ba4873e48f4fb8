"""Relevance mass accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, some
from quantus_model import quantus_of

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import RelevanceMass

MASK = np.zeros((8, 10), bool)
MASK[2:6, 3:8] = True


@pytest.mark.parametrize("signed", [False, True])
def test_it_is_its_twin(signed):
    model = Small()
    for case in cases(model, 3, mask=MASK):
        inside = total = 0.0
        for row in range(8):
            for column in range(10):
                value = sum(float(case.values[c, row, column]) for c in range(3))
                value = value if signed else max(value, 0.0)
                total += value
                inside += value if MASK[row, column] else 0.0
        found = measured(model, case, RelevanceMass(signed)).value
        assert found == pytest.approx(inside / total, rel=1e-6)


def test_ends():
    model = Small()
    assert measured(model, some(model, MASK.astype(float), MASK), RelevanceMass()).value == 1
    assert measured(model, some(model, 1.0 - MASK, MASK), RelevanceMass()).value == 0
    assert np.isnan(measured(model, some(model, -np.ones(80), MASK), RelevanceMass()).value)
    assert np.isnan(measured(model, some(model, np.ones(80)), RelevanceMass()).value)
    assert np.isnan(measured(model, some(model, np.ones(80), MASK & False), RelevanceMass()).value)
    with pytest.raises(InputError, match="signed is 2"):
        RelevanceMass(2)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_signed_it_is_quantus_relevance_mass():
    """Arras et al. pool to positive relevance first, so theirs, and our default, stays in [0, 1]."""
    quantus, network = quantus_of(Small())
    model = Small()
    several = cases(model, 3, mask=MASK)
    expected = quantus.RelevanceMassAccuracy(disable_warnings=True)(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in several]),
        s_batch=np.stack([case.mask[None] for case in several]),
    )
    found = [measured(model, case, RelevanceMass(signed=True)).value for case in several]
    assert np.allclose(found, expected, rtol=1e-4)
