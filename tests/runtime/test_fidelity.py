"""Rank correlation and distance of attributions, against scipy's and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import Attribution
from fluxpath.runtime.fidelity import fidelity


def attribution(values, steps=0, target=0):
    values = np.asarray(values, np.float32)
    zeros = np.zeros(len(values), np.int64)
    floats = zeros.astype(np.float32)
    return Attribution(values, zeros + target, zeros, (zeros + steps).astype(np.int32), zeros, floats, None)


def test_ranks_with_ties_as_scipy_has_them():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    given, exact = rng.integers(-3, 4, (2, 5, 3, 4)).astype(np.float32)
    found = fidelity(attribution(given), attribution(exact))
    expected = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(given, exact, strict=True)]
    np.testing.assert_allclose(found.rank_correlation, expected, atol=1e-12)


def test_what_each_figure_notices():
    exact = attribution([[1.0, 2, 3], [1, 2, 3], [1, 2, 3], [0, 0, 0], [0, 0, 0]], steps=2)
    given = attribution([[10.0, 20, 300], [3, 2, 1], [1, 2, 3], [0, 0, 0], [0, 1, 0]], steps=[2, 3, 2, 2, 2])
    found = fidelity(given, exact)
    np.testing.assert_allclose(found.rank_correlation, [1, -1, 1, 1, 0])
    np.testing.assert_allclose(found.distance[1:], [np.sqrt(8 / 14), 0, 0, np.inf])
    assert found.distance[0] > 50
    assert found.equal_steps.tolist() == [True, False, True, True, True]


@pytest.mark.parametrize("other", [attribution([[1.0, 2]]), attribution([[1.0, 2, 3]], target=1)])
def test_what_cannot_be_compared(other):
    with pytest.raises(InputError, match="of the same images for the same targets"):
        fidelity(other, attribution([[1.0, 2, 3]]))
