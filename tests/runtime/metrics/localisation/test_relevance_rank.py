"""Relevance rank accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, some
from metric_twins import pixel_order
from quantus_model import quantus_of

from fluxpath.runtime.metrics import RelevanceRank

MASK = np.zeros((8, 10), bool)
MASK[2:6, 3:8] = True


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 3, mask=MASK):
        first = pixel_order(case.values)[: MASK.sum()]
        expected = sum(bool(MASK[p // 10, p % 10]) for p in first) / 20
        assert measured(model, case, RelevanceRank()).value == pytest.approx(expected, abs=1e-12)


def test_ends():
    model = Small()
    assert measured(model, some(model, MASK.astype(float), MASK), RelevanceRank()).value == 1
    assert measured(model, some(model, 1.0 - MASK, MASK), RelevanceRank()).value == 0
    assert np.isnan(measured(model, some(model, np.ones(80)), RelevanceRank()).value)
    assert np.isnan(measured(model, some(model, np.ones(80), MASK & False), RelevanceRank()).value)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus_relevance_rank():
    quantus, network = quantus_of(Small())
    model = Small()
    several = cases(model, 4, mask=MASK)
    expected = quantus.RelevanceRankAccuracy(disable_warnings=True)(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in several]),
        s_batch=np.stack([case.mask[None] for case in several]),
    )
    assert np.allclose([measured(model, case, RelevanceRank()).value for case in several], expected)
