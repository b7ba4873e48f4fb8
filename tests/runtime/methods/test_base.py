"""Methods of one's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.runtime import Method, Status


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Sundararajan et al. 2017 from black, by the midpoint rule: a lane a point of the straight line."""

    lanes: int = 50
    starts_at_image: bool = False

    def start(self, lanes, slots, numbers):
        share = (numbers[:, None] + 0.5) / self.lanes
        lanes.point[slots] = share * lanes.image[slots]

    def advance(self, lanes, slots):
        derivative = lanes.scale[slots, None] * lanes.gradient[slots]
        lanes.sum[slots] = derivative * lanes.image[slots] / self.lanes
        lanes.status[slots] = Status.COMPLETE


def test_a_method_of_ones_own():
    session, images = LinearSession(), some_images(3)
    result = explain(session, images, IntegratedGradients(), slots=7)
    for i, image in enumerate(images.astype(np.float64)):
        target = result.target[i]
        change = session.evaluate(image, target)[0] - session.evaluate(0 * image, target)[0]
        assert result.values[i].sum() == pytest.approx(change, abs=1e-3)
        assert result.score[i] == pytest.approx(session.evaluate(image, target)[0], rel=1e-6)
    assert (result.target == result.label).all() and set(result.status) == {Status.COMPLETE}
