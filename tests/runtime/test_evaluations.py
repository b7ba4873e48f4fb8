"""How many gradients each method takes, and where the image is evaluated besides, for label and score."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import LinearSession, some_images

from fluxpath.runtime import (
    LPI,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
)

THREE = some_images(3, seed=7)
EVALUATIONS = [
    (Saliency(), 1, 0),
    (InputXGradient(), 1, 0),
    (IntegratedGradients(steps=10, rule="trapezoid"), 11, 0),
    (IntegratedGradients(steps=10, rule="right"), 10, 0),
    (IntegratedGradients(steps=10, rule="left"), 10, 1),
    (IntegratedGradients(steps=10, rule="middle"), 10, 1),
    (IntegratedGradients(steps=10, rule="gauss-legendre"), 10, 1),
    (SmoothGrad(n=7), 7, 1),
    (ExpectedGradients(THREE, n=8), 8, 1),
    (LPI(THREE), 3, 1),
    (LPI(THREE, steps=4), 12, 1),
    (GuidedIG(steps=9), 9, 1),
]


def explain(session, images, method, slots, target=None):
    with Explainer.from_session(session, slots=slots) as opened:
        return opened.attribute(images, target, method)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize(("method", "gradients", "at_image"), EVALUATIONS, ids=lambda v: repr(v)[:60])
def test_evaluations_are_the_methods_gradients_and_one_for_label_and_score(
    method, gradients, at_image, target
):
    """The one is spent where the image is not among the points, whether or not the target is given."""
    session, images = LinearSession(), some_images(2)
    result = explain(session, images, method, slots=3, target=target)
    assert sum(session.counts) == 2 * (gradients + at_image)
    assert result.steps.tolist() == [gradients] * 2
    for i, image in enumerate(images.astype(np.float64)):
        label = session.evaluate(image)[1]
        assert result.label[i] == label
        wanted = session.evaluate(image, label if target is None else target)[0]
        assert result.score[i] == pytest.approx(wanted, rel=1e-5)


def test_where_the_target_is_given_nobody_waits_for_the_image():
    for target, ticks in ((None, 2), (1, 1)):
        session = LinearSession()
        explain(session, some_images(1), SmoothGrad(n=7), slots=8, target=target)
        assert len(session.counts) == ticks and sum(session.counts) == 8
