"""The methods of independent points against their float64 twins: values, points visited, evaluations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import models
import numpy as np
import point_twins as twin
import pytest
from sessions import FEATURES, LinearSession, explain, some_images
from twins import relative_error

from fluxpath.errors import InputError
from fluxpath.runtime import (
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    InputXGradient,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
    Status,
)

RULES = ("trapezoid", "left", "right", "middle", "gauss-legendre")
VARIANTS = ("mean", "squared", "variance")


def cases(shape):
    """Every method with its twin, for inputs of this shape."""
    rng = np.random.default_rng(5)
    baseline, several = rng.random(shape).astype(np.float32), rng.random((3, *shape)).astype(np.float32)
    found = [(Saliency(a), partial(twin.saliency, absolute=a)) for a in (True, False)]
    found.append((InputXGradient(), twin.input_x_gradient))
    for rule in RULES:
        for steps, b in ((1, 0.25), (7, 0.0), (8, baseline)):
            settings = {"steps": steps, "rule": rule, "baseline": b}
            found.append((IntegratedGradients(**settings), partial(twin.integrated_gradients, **settings)))
    for variant in VARIANTS:
        settings = {"n": 6, "sigma": 0.1, "variant": variant, "seed": 2**40 + 3}
        found.append((SmoothGrad(**settings), partial(twin.smoothgrad, **settings)))
    settings = {"background": several, "n": 9, "seed": 2**33}
    found.append((ExpectedGradients(**settings), partial(twin.expected_gradients, **settings)))
    for rule in ("random", "middle"):
        settings = {"references": several, "densities": [1.0, 2.0, 5.0], "steps": 4, "rule": rule, "seed": 3}
        found.append((LPI(**settings), partial(twin.lpi, **settings)))
        settings |= {"densities": None}
        found.append((LPI(**settings), partial(twin.lpi, **(settings | {"densities": [1.0] * 3}))))
    return found


LINEAR = cases((FEATURES,))
IDS = [repr(method) for method, _ in LINEAR]


@pytest.mark.parametrize("case", range(len(LINEAR)), ids=IDS)
@pytest.mark.parametrize("target", [None, 2])
def test_every_method_is_its_twin(explainer, float64, name, case, target):
    images = models.images(name, 3)
    method, slow = cases(models.shape_of(name))[case]
    result = explainer.attribute(images, target, method)
    for i, image in enumerate(images):
        walk = slow(float64(name).for_target(target), image.astype(np.float64))
        assert (result.steps[i], result.status[i]) == (walk.steps, Status.COMPLETE)
        assert result.score[i] == pytest.approx(walk.scores[0], rel=1e-5)
        assert relative_error(result.values[i], walk.values) < 1e-5
        if result.end_score is not None:
            assert result.end_score[i] == pytest.approx(walk.scores[1], rel=1e-5)
    assert (result.target == (result.label if target is None else target)).all()


@pytest.mark.parametrize(("method", "slow"), LINEAR, ids=IDS)
@pytest.mark.parametrize("target", [None, 1])
def test_each_point_is_visited_once_and_the_image_only_where_its_score_is_missing(method, slow, target):
    session, images = LinearSession(), some_images(3)
    explain(session, images, method, target=target)
    wanted = []
    for image in images.astype(np.float64):
        points = slow(session.gradient(image, target), image).points
        at_image = [k for k, point in enumerate(points) if np.array_equal(point, image)]
        if not at_image:
            points = [image, *points]
        elif target is None:  # which class is explained is known only there
            points = [points[at_image[0]], *points[: at_image[0]], *points[at_image[0] + 1 :]]
        wanted += points
    assert sum(session.counts) == len(wanted)
    np.testing.assert_allclose(session.points, wanted, atol=1e-6)


@pytest.mark.parametrize(("method", "slow"), LINEAR, ids=IDS)
def test_company_does_not_matter(method, slow):
    """Bit for bit: not the batch, the slots, nor another method in them."""
    images = some_images(5)
    alone = [explain(LinearSession(), image, method).values for image in images]
    with Explainer.from_session(LinearSession(), slots=7) as opened:
        other = opened.submit(some_images(6, seed=3), None, MFABA(step_size=0.02))
        together = opened.attribute(images, None, method)
        other.result(20)
    assert together.values.tobytes() == np.concatenate(alone).tobytes()


def test_nan_at_a_point_is_a_status_and_zeros(graph):
    """The model gives NaN at black, which is a baseline and, for one image, the image."""
    images = models.images("hole", 2)
    with Explainer(graph("hole"), threads=1) as explainer:
        result = explainer.attribute(images, None, IntegratedGradients(steps=4))
        assert result.status.tolist() == [Status.NON_FINITE] * 2 and not result.values.any()
        result = explainer.attribute(images, None, IntegratedGradients(steps=4, rule="middle"))
        assert result.status.tolist() == [Status.COMPLETE] * 2 and result.values.any()
        for method in (Saliency(), InputXGradient(), IntegratedGradients(4, "right", 0.5)):
            result = explainer.attribute(0 * images, None, method)
            assert result.status.tolist() == [Status.NON_FINITE] * 2 and not result.values.any()


def test_a_flat_model_gives_zeros(graph):
    shape = models.shape_of("flat")
    with Explainer(graph("flat"), threads=1) as explainer:
        for method, _ in cases(shape):
            result = explainer.attribute(models.images("flat", 2), None, method)
            assert not result.values.any() and result.status.tolist() == [Status.COMPLETE] * 2


def test_arrays_are_compared_by_content():
    a, b = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    same = IntegratedGradients(baseline=a), IntegratedGradients(baseline=a.astype(float).tolist())
    assert same[0] == same[1] and hash(same[0]) == hash(same[1])
    assert IntegratedGradients(baseline=b) != same[0] != IntegratedGradients(baseline=0.0)
    assert replace(same[0], steps=3).baseline == same[0].baseline
    assert "<array [2, 3] " in repr(same[0]) == repr(same[1]) != repr(IntegratedGradients(baseline=b))
    assert ExpectedGradients(a) == ExpectedGradients(a.copy()) != ExpectedGradients(b)
    kept = IntegratedGradients(baseline=a)
    a[:] = 7
    assert not np.asarray(kept.baseline).any()


GREY = np.full((2, 3), 0.5)


@pytest.mark.parametrize(
    "method", [IntegratedGradients(baseline=[0.5] * 5), ExpectedGradients(GREY), LPI(GREY)], ids=repr
)
def test_arrays_must_fit_the_model(method, tmp_path):
    """Of many images, too, it is an error and not a failure of each."""
    wrong = r"has shape \[.*\], it must have \[.*6\] for this model"
    with Explainer.from_session(LinearSession()) as opened:
        with pytest.raises(InputError, match=wrong):
            opened.attribute(some_images(1), None, method)
        with pytest.raises(InputError, match=wrong):
            opened.attribute_many(some_images(2), tmp_path / "x.npz", method=method)
