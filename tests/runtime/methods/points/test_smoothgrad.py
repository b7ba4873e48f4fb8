"""SmoothGrad's noise, and settings that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import SmoothGrad


def test_clipped_noise_stays_in_the_range_and_other_noise_does_not():
    for clip in (True, False):
        session = LinearSession()
        session.manifest = replace(session.manifest, low=0.0, high=1.0)
        explain(session, some_images(2), SmoothGrad(n=20, sigma=0.5, clip=clip))
        inside = (np.array(session.points) >= 0) & (np.array(session.points) <= 1)
        assert inside.all() == clip


def test_sigma_is_in_units_of_the_range():
    noise = []
    for low, high in ((0.0, 1.0), (-1.0, 3.0), (None, None)):
        session, image = LinearSession(), some_images(1)
        session.manifest = replace(session.manifest, low=low, high=high)
        explain(session, image, SmoothGrad(n=3, sigma=0.1))
        noise.append(np.array(session.points[1:]) - image)
    np.testing.assert_allclose(noise[1], 4 * noise[0], atol=1e-6)
    np.testing.assert_allclose(noise[2], noise[0], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"sigma": 0}, "sigma is 0, it must be a finite number above zero"),
        ({"variant": "median"}, "variant is 'median', it must be 'mean' or 'squared' or 'variance'"),
        ({"seed": -1}, "seed is -1"),
        ({"clip": None}, "clip is None, it must be True or False"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        SmoothGrad(**settings)
