"""LPI: its sum, and settings that are none."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import LPI

GREY = np.full((2, 3), 0.5)


def test_a_sum_is_the_change_from_the_mean_score_of_the_references():
    """Weighed by their densities, up to the integral's error."""
    session, images = LinearSession(), some_images(3)
    references, densities = some_images(4, seed=7), np.array([1.0, 2.0, 3.0, 4.0])
    for image in images:
        gradient = session.gradient(image.astype(np.float64))
        scores = [gradient(r)[0] for r in references.astype(np.float64)]
        result = explain(LinearSession(), image, LPI(references, densities, 50, "middle"), 64)
        wanted = gradient(image)[0] - np.average(scores, weights=densities)
        assert result.values.sum() == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"references": 0.5}, "references has shape \\[\\], it must be inputs"),
        ({"references": GREY, "densities": [1.0]}, "densities of shape \\[1\\] must be 2 numbers above zero"),
        ({"references": GREY, "densities": [1.0, 0.0]}, "densities .* must be 2 numbers above zero"),
        ({"references": GREY, "steps": 0}, "steps is 0"),
        ({"references": GREY, "rule": "left"}, "rule is 'left', it must be 'random' or 'middle'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        LPI(**settings)
