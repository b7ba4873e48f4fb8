"""The one evaluation at the image, for its score and predicted class."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import BrokenSession, LinearSession, explain, some_images

from fluxpath.runtime import NeFLAG, Status
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.methods.probe import Probe


def test_one_evaluation_ends_it():
    session, images = LinearSession(), some_images(2)
    result = explain(session, images, Probe())
    assert result.status.tolist() == [Status.COMPLETE] * 2 and not result.values.any()
    np.testing.assert_array_equal(session.points, images)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_without_a_score_there_is_no_class(score):
    lanes = Lanes(3, (4,), 0.0, 1.0)
    lanes.score[:] = [0.5, score, score]
    Probe().advance(lanes, np.array([0, 1], np.int32))
    assert lanes.status.tolist() == [Status.COMPLETE, Status.NON_FINITE, Status.RUNNING]


def test_what_it_finds_at_the_image_is_the_images_and_its_gradient_is_not():
    """A gradient that is not finite there hurts no sample elsewhere."""
    image = some_images(1)
    session = BrokenSession(np.nan, above=-1.0)
    session.evaluate = lambda point, target=-1: (
        BrokenSession.evaluate if np.array_equal(point, image[0]) else LinearSession.evaluate
    )(session, point, target)
    result = explain(session, image, NeFLAG(n=2, radius=0.1))
    wanted = explain(LinearSession(), image, NeFLAG(n=2, radius=0.1))
    assert result.values.tobytes() == wanted.values.tobytes() and result.values.any()
    assert (result.score, result.label) == (wanted.score, wanted.label)
