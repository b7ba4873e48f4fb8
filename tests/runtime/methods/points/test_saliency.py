"""Saliency: the gradient at the image, with or without its sign."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import Saliency


@pytest.mark.parametrize("absolute", [True, False])
def test_it_is_the_gradient_at_the_image(absolute):
    session, images = LinearSession(), some_images(3)
    result = explain(session, images, Saliency(absolute=absolute))
    gradients = np.array([session.evaluate(x.astype(np.float64))[2] for x in images])
    assert (gradients < 0).any()
    np.testing.assert_allclose(result.values, abs(gradients) if absolute else gradients, rtol=1e-5)
    assert result.end_score is None and result.steps.tolist() == [1] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"absolute": 1}, "absolute is 1, it must be True or False"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Saliency(**settings)
