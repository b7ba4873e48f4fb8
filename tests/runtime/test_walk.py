"""A recorded walk is the walk that was gone, on the host and on a device."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import CurvedSession, DeviceLinear, LinearSession, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import BIG, MFABA, Explainer, IntegratedGradients, NeFLAG, Saliency

IMAGE = some_images(1)[0]


@pytest.mark.parametrize("session", [LinearSession, CurvedSession, DeviceLinear])
@pytest.mark.parametrize(
    "method", [MFABA(step_size=0.05), MFABA("smooth", step_size=0.02), MFABA(path="cosine")]
)
def test_every_point_and_its_score(session, method):
    model = session()
    with Explainer.from_session(model, slots=2) as explainer:
        result = explainer.attribute(IMAGE, method=method)
        walk = explainer.walk(IMAGE, method=method)
    assert len(walk) == result.steps[0] + 1 and walk.points.shape == (len(walk), *IMAGE.shape)
    assert walk.points.dtype == walk.scores.dtype == np.float32 and walk.labels.dtype == np.int64
    np.testing.assert_array_equal(walk.points[0], IMAGE)
    target = int(result.target[0])
    for point, score, label in zip(walk.points, walk.scores, walk.labels, strict=True):
        expected = model.evaluate(point.astype(np.float64), target)
        assert score == pytest.approx(expected[0], rel=1e-5) and label == expected[1]
    assert (walk.scores[0], walk.scores[-1]) == (result.score[0], result.end_score[0])
    assert (np.diff(walk.scores) < 0).all()


def test_a_lane_of_several():
    method = NeFLAG(n=4, seed=7)
    with Explainer.from_session(LinearSession(), slots=2) as explainer:
        walks = [explainer.walk(IMAGE, 1, method, lane=lane) for lane in range(4)]
        result = explainer.attribute(IMAGE, 1, method)
        line = explainer.walk(IMAGE, 1, IntegratedGradients(steps=4), lane=2)
        with pytest.raises(InputError, match="lane is 4, it must be an integer from 0 to 3"):
            explainer.walk(IMAGE, 1, method, lane=4)
    assert sum(len(walk) - 1 for walk in walks) == result.steps[0]
    assert len({walk.points[0].tobytes() for walk in walks}) == 4
    np.testing.assert_allclose(line.points, [IMAGE * line.points[0][0] / IMAGE[0]], rtol=1e-6)


def test_the_target_by_name_and_the_method_by_name():
    with Explainer.from_session(LinearSession()) as explainer:
        np.testing.assert_array_equal(
            explainer.walk(IMAGE, 2, "mfaba-sharp").points, explainer.walk(IMAGE, 2, MFABA()).points
        )
        assert len(explainer.walk(IMAGE, method=Saliency())) == 1
        assert len(explainer.walk(IMAGE, method=BIG(max_steps=3, bisections=2, integration_steps=4))) > 1
        with pytest.raises(InputError, match="these are 2 images, and a walk starts at one"):
            explainer.walk(some_images(2))


def test_a_walk_that_is_gone_twice_is_noted_once():
    """Where float32 may have lost the attribution, lanes run again."""

    class Faint(LinearSession):
        def run(self, count):
            super().run(count)
            self.lanes.scale[:count] = 1e-45
            self.lanes.gradient[:count] = 1e-5

    with Explainer.from_session(Faint()) as explainer:
        method = MFABA(max_steps=3, step_size=1e-6)
        result = explainer.attribute(IMAGE, method=method)
        assert result.status[0] == 7  # UNDERFLOW, which only the second walk shows
        assert len(explainer.walk(IMAGE, method=method)) == 4


def test_a_walk_shows_itself_in_a_line():
    with Explainer.from_session(LinearSession()) as explainer:
        walk = explainer.walk(IMAGE, method=MFABA(step_size=0.05))
    assert repr(walk).startswith(f"Walk of {len(walk)} points, score {walk.scores[0]:.4g} to ")
    assert "\n" not in repr(walk) and len(repr(walk)) < 80
