"""What follows from an attribution's arrays."""

from __future__ import annotations

import models
import numpy as np
import pytest

from fluxpath.runtime import Attribution, Explainer, NeFLAG


@pytest.fixture(scope="module")
def explainer(graph):
    with Explainer(graph("smooth"), threads=1) as opened:
        yield opened


def test_error_rate_by_hand(explainer):
    result = explainer.attribute(models.images("smooth", 5))
    change = result.score.astype(np.float64) - result.end_score
    total = result.values.astype(np.float64).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(result.error_rate, abs(total - change) / abs(change), rtol=1e-12)


def test_methods_of_several_ends_have_no_error_rate(explainer):
    result = explainer.attribute(models.images("smooth", 2), None, NeFLAG(n=2))
    assert result.end_score is None
    with pytest.raises(ValueError, match="several end points"):
        _ = result.error_rate


def test_the_error_rate_is_zero_where_exact_and_infinite_where_the_score_did_not_change():
    values = np.array([[0.25, 0.25], [0.5, -0.5], [0.5, 0.0]], np.float32)
    numbers, score = np.zeros(3, np.int64), np.array([0.75, 0.5, 0.5], np.float32)
    steps = numbers.astype(np.int32)
    end = np.array([0.25, 0.5, 0.5], np.float32)
    result = Attribution(values, numbers, numbers, steps, steps, score, end)
    assert len(result) == 3 and result.error_rate.tolist() == [0.0, 0.0, np.inf]
