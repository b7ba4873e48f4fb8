"""Integrated Gradients: completeness, where its line ends, and settings that are none."""

from __future__ import annotations

import math

import models
import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import IntegratedGradients

RULES = ("trapezoid", "left", "right", "middle", "gauss-legendre")


def test_integrated_gradients_are_complete(explainer, name):
    """And say so where the baseline is among the points."""
    images = models.images(name, 4)
    results = {r: explainer.attribute(images, None, IntegratedGradients(400, r)) for r in RULES[:-1]}
    results[RULES[-1]] = explainer.attribute(images, None, IntegratedGradients(100, RULES[-1]))
    change = results["trapezoid"].score - results["trapezoid"].end_score
    for rule, result in results.items():
        total = result.values.reshape(4, -1).sum(axis=1)
        assert abs(total - change).max() < 5e-3
        if rule in ("trapezoid", "left"):
            np.testing.assert_allclose(result.error_rate, abs(total - change) / abs(change), atol=1e-5)
        else:
            assert result.end_score is None and np.isnan(result.error_rate).all()


def test_the_ends_of_the_line_are_exact():
    session, image = LinearSession(), some_images(1)
    baseline = np.float32(0.3) * some_images(1, seed=9)[0]
    explain(session, image, IntegratedGradients(steps=3, baseline=baseline), target=0)
    assert session.points[0].tobytes() == baseline.tobytes()
    assert session.points[-1].tobytes() == image[0].tobytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0, it must be an integer from 1"),
        ({"steps": 2.0}, "steps is 2.0"),
        ({"steps": 1001, "rule": "gauss-legendre"}, "steps is 1001.* to 1000"),
        ({"rule": "simpson"}, "rule is 'simpson', it must be 'trapezoid' or 'left'"),
        ({"baseline": math.nan}, "baseline .* must hold finite numbers"),
        ({"baseline": 1e39}, "baseline .* must hold finite numbers"),
        ({"baseline": "black"}, "baseline cannot be read as an array of numbers"),
        ({"baseline": [[0.0], [0.0, 1.0]]}, "baseline cannot be read"),
        ({"baseline": []}, "baseline of shape \\[0\\]"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        IntegratedGradients(**settings)


def test_a_baseline_can_be_a_tensor_that_requires_a_gradient():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    grey = np.full((1, 6, 6), 0.25, np.float32)
    assert IntegratedGradients(baseline=torch.tensor(grey, requires_grad=True)) == IntegratedGradients(
        baseline=grey
    )
