"""Guided IG: completeness, and settings that are none."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import CurvedSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import GuidedIG


@pytest.mark.parametrize("method", [GuidedIG(400, max_dist=1.0), GuidedIG(400)], ids=repr)
def test_guided_ig_is_complete(method):
    session = CurvedSession()
    images = some_images(4)
    result = explain(session, images, method)
    for i, x in enumerate(images.astype(np.float64)):
        t = int(result.target[i])
        change = session.evaluate(x, t)[0] - session.evaluate(0 * x, t)[0]
        assert result.values[i].sum() == pytest.approx(change, abs=0.02)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"fraction": 0.0}, "fraction is 0.0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"baseline": np.inf}, "baseline is inf"),
        ({"max_dist": -0.1}, "max_dist is -0.1"),
        ({"max_dist": "far"}, "max_dist is 'far'"),
    ],
)
def test_bad_settings_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        GuidedIG(**settings)
