"""Expected Gradients: their sum, and settings that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import ExpectedGradients

GREY = np.full((2, 3), 0.5)


def test_a_sum_is_in_expectation_the_change_from_the_mean_score_of_the_background():
    session, images, background = LinearSession(), some_images(3), some_images(4, seed=7)
    for image in images:
        gradient = session.gradient(image.astype(np.float64))
        mean = np.mean([gradient(b)[0] for b in background.astype(np.float64)])
        result = explain(LinearSession(), image, ExpectedGradients(background, 3000), 64)
        assert result.values.sum() == pytest.approx(gradient(image)[0] - mean, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": [0.5, 0.5]}, "background has shape \\[2\\], it must be inputs"),
        ({"background": GREY * math.inf}, "background .* must hold finite numbers"),
        ({"background": GREY, "n": -1}, "n is -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        ExpectedGradients(**settings)
