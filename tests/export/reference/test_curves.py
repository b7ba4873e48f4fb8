"""The error function against the standard library's, number by number."""

from __future__ import annotations

import math

import numpy as np

from fluxpath.export.reference.curves import erf

EDGES = [0.0, -0.0, 1e-300, 1e-9, 5e-4, 1 / 2048, 5.9999, 6.0, -6.0, 7.0, 1e300, np.inf, -np.inf]


def test_erf_is_the_standard_librarys() -> None:
    x = np.concatenate([np.random.default_rng(0).standard_normal(20_000) * 2, EDGES])
    true = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), true, rtol=1e-14, atol=3e-16)


def test_erf_keeps_shapes_and_what_is_no_number() -> None:
    x = np.array([[0.5, np.nan, -0.5]], np.float32)
    found = erf(x)
    assert found.shape == (1, 3) and np.isnan(found[0, 1])
    np.testing.assert_allclose(found[0, [0, 2]], [math.erf(0.5), -math.erf(0.5)], rtol=1e-15)
    assert erf(np.zeros((0, 4))).shape == (0, 4)
