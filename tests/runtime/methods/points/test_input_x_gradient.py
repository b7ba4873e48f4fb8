"""Input x Gradient: the gradient at the image, times the image."""

from __future__ import annotations

import numpy as np
from sessions import LinearSession, explain, some_images

from fluxpath.runtime import InputXGradient


def test_it_is_the_gradient_at_the_image_times_the_image():
    session, images = LinearSession(), some_images(3)
    result = explain(session, images, InputXGradient())
    wanted = [x * session.evaluate(x.astype(np.float64))[2] for x in images]
    np.testing.assert_allclose(result.values, wanted, rtol=1e-5)
    assert result.end_score is None and result.steps.tolist() == [1] * 3
