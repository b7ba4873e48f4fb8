"""Noisy linear imputation against a direct solution of ROAD's equations."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases
from metric_twins import imputed

from fluxpath.runtime.metrics.imputation import NOISE, Imputation


def gone(share: float, seed: int = 0) -> np.ndarray:
    return np.broadcast_to(np.random.default_rng(seed).random((8, 10)) < share, (3, 8, 10))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_it_is_the_solution_and_noise(share):
    (case,) = cases(Small(low=-10.0, high=10.0), 1)
    imputation = Imputation(case)
    removed = gone(share)
    made = imputation.without(removed)
    assert np.array_equal(made[~removed], case.image[~removed])
    for channel, image, out, noise in zip(removed, case.image, made, imputation._noise, strict=True):
        expected = imputed(image.astype(np.float64), channel) + noise
        assert np.allclose(out[channel], expected[channel], atol=1e-6)
    assert np.std(imputation._noise) == pytest.approx(NOISE * 20, rel=0.2)


def test_channels_can_lose_different_pixels():
    (case,) = cases(Small(low=-10.0, high=10.0), 1)
    removed = np.stack([gone(0.3, seed)[0] for seed in range(3)])
    removed[1] = True
    imputation = Imputation(case)
    made = imputation.without(removed)
    assert np.allclose(made[1] - imputation._noise[1], case.image[1].mean(), atol=1e-6)
    expected = imputed(case.image[2].astype(np.float64), removed[2]) + imputation._noise[2]
    assert np.allclose(made[2][removed[2]], expected[removed[2]], atol=1e-6)


def test_nothing_left_is_the_mean_colour():
    (case,) = cases(Small(low=-10.0, high=10.0), 1)
    imputation = Imputation(case)
    made = imputation.without(np.ones((3, 8, 10), bool))
    assert np.allclose(made - imputation._noise, case.image.mean(axis=(1, 2), keepdims=True), atol=1e-6)


def test_what_came_before_does_not_matter():
    (case,) = cases(Small(), 1)
    imputation = Imputation(case)
    for share in (0.9, 0.1, 0.6):
        imputation.without(gone(share))
    assert np.allclose(imputation.without(gone(0.4)), Imputation(case).without(gone(0.4)), atol=1e-7)


def test_a_large_hole_is_filled_smoothly():
    model = Small((1, 40, 40), low=-10.0, high=10.0)
    (case,) = cases(model, 1)
    case.image[0] = np.linspace(0, 1, 40, dtype=np.float32)[None]
    removed = np.zeros((1, 40, 40), bool)
    removed[0, 1:39, 1:39] = True
    imputation = Imputation(case)
    made = imputation.without(removed) - np.where(removed, imputation._noise, 0)
    assert np.allclose(made, case.image, atol=1e-6)  # a slope is the mean of its neighbours
