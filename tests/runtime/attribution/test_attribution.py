"""What follows from an attribution's arrays."""

from __future__ import annotations

from dataclasses import replace

import models
import numpy as np
import pytest
from sessions import FEATURES, LinearSession, explain, some_images
from twins_walks import big

from fluxpath.baseline import pack_baseline
from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    Attribution,
    DeepLIFT,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    NeFLAG,
    Saliency,
    SmoothGrad,
    Status,
)


@pytest.fixture(scope="module")
def explainer(graph):
    with Explainer(graph("smooth"), threads=1) as opened:
        yield opened


def test_error_rate_by_hand(explainer):
    result = explainer.attribute(models.images("smooth", 5))
    change = result.score.astype(np.float64) - result.end_score
    total = result.values.astype(np.float64).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(result.error_rate, abs(total - change) / abs(change), rtol=1e-12)


BLACK = np.zeros((2, 1, 6, 6), np.float32)
ENDS = [
    (MFABA(), "last"),
    (MFABA("smooth", "left", "norm", max_steps=3), "last"),
    (AGI(classes=1, step_size=0.005), "last"),
    (BIG(integration_steps=100), "boundary"),
    *((IntegratedGradients(100, rule), "black") for rule in ("trapezoid", "left")),
    (GuidedIG(steps=400), "black"),
]
ENDLESS = [
    *(NeFLAG(n=1), NeFLAG(n=2), Saliency(), InputXGradient(), SmoothGrad(n=2), AGI(classes=2)),
    *(IntegratedGradients(5, rule) for rule in ("right", "middle", "gauss-legendre")),
    *(ExpectedGradients(BLACK, n=3), LPI(BLACK)),
]


@pytest.mark.parametrize(("method", "end"), ENDS, ids=repr)
def test_the_error_rate_of_a_method_with_an_end(explainer, float64, method, end):
    """What is integrated from the image to the end is the change of the score between them."""
    images = models.images("smooth", 4)
    result = explainer.attribute(images, None, method)
    rate = result.error_rate
    assert rate.dtype == np.float64 and rate.shape == (4,) and (rate < 0.2).all()
    for i, image in enumerate(images.astype(np.float64)):
        model = float64("smooth").for_target(int(result.target[i]))
        score = model(image)[0]
        if end == "black":
            assert result.end_score[i] == pytest.approx(model(0 * image)[0], rel=1e-5)
        elif end == "boundary":
            walk = big(
                lambda p, m=model: lost_shape(m, p),
                image.ravel(),
                int(result.target[i]),
                integration_steps=100,
            )
            assert walk.points[-1].tolist() != image.ravel().tolist()
            near = walk.points[-100] - (walk.points[-99] - walk.points[-100]) / 2
            assert result.end_score[i] == pytest.approx(lost_shape(model, near)[0], rel=1e-4)
        assert rate[i] == pytest.approx(
            abs(result.values[i].sum(dtype=np.float64) / (score - result.end_score[i]) - 1), abs=1e-4
        )


def lost_shape(model, point):
    """The model at a point without its shape."""
    score, label, gradient = model(point.reshape(models.shape_of("smooth")))
    return score, label, gradient.ravel()


@pytest.mark.parametrize("method", ENDLESS, ids=repr)
def test_the_error_rate_of_a_method_without_an_end_is_nan(explainer, method):
    result = explainer.attribute(models.images("smooth", 2), None, method)
    assert result.end_score is None
    assert result.error_rate.dtype == np.float64 and np.isnan(result.error_rate).tolist() == [True] * 2


def test_the_error_rate_of_multipliers_is_nan():
    session = LinearSession()
    baseline = pack_baseline(np.zeros(FEATURES, np.float32))
    session.manifest = replace(session.manifest, rules="deeplift", baseline=baseline)
    assert np.isnan(explain(session, some_images(2), DeepLIFT()).error_rate).all()


def test_a_search_that_finds_no_end_has_the_error_rate_nan():
    result = explain(LinearSession(), some_images(2), BIG(radii=1e-6, max_steps=2))
    assert np.isnan(result.end_score).all() and np.isnan(result.error_rate).all()


def test_a_walk_that_another_class_has_no_gradient_for_ends_with_the_explained_classs_score():
    session = LinearSession()
    session.weight[:] = 0.0
    result = explain(session, some_images(2), AGI(classes=1), target=2)
    assert result.status.tolist() == [Status.ZERO_GRADIENT] * 2
    assert result.end_score.tolist() == result.score.tolist() and result.error_rate.tolist() == [0.0, 0.0]


def test_the_error_rate_is_zero_where_exact_and_infinite_where_the_score_did_not_change():
    values = np.array([[0.25, 0.25], [0.5, -0.5], [0.5, 0.0]], np.float32)
    numbers, score = np.zeros(3, np.int64), np.array([0.75, 0.5, 0.5], np.float32)
    steps = numbers.astype(np.int32)
    end = np.array([0.25, 0.5, 0.5], np.float32)
    result = Attribution(values, numbers, numbers, steps, steps, score, end)
    assert len(result) == 3 and result.error_rate.tolist() == [0.0, 0.0, np.inf]


@pytest.fixture(scope="module")
def result(explainer):
    return explainer.attribute(models.images("smooth", 5), [0, 1, 0, 1, 0])


FIELDS = ("values", "target", "label", "steps", "status", "score", "end_score")


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (0, [0]),
        (-1, [4]),
        (np.int64(2), [2]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [4, 2, 0]),
        ([3, 0], [3, 0]),
        (np.array([True, False, False, True, False]), [0, 3]),
        (slice(5, 9), []),
    ],
    ids=repr,
)
def test_an_index_gives_an_attribution_of_those_images(result, index, rows):
    found = result[index]
    assert len(found) == len(rows) and isinstance(found, Attribution)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(result, name)[rows])
    np.testing.assert_array_equal(found.error_rate, result.error_rate[rows])
    np.testing.assert_array_equal(found.subject.images, result.subject.images[rows])
    assert found.subject.manifest is result.subject.manifest
    assert len(str(found).splitlines()) == 3


WRONG = [5, -6, 1.5, "a", None, (0, 1), [[0]], [9], [True], (0,), (0, ...), (True,), (), ..., True, False]


@pytest.mark.parametrize(
    "index", [*WRONG, np.True_, [0.5], {0}, {0: 1}, ["a"], [[0], [0, 1]], np.array(True)], ids=repr
)
def test_what_is_no_index_is_an_index_error(result, index):
    with pytest.raises(IndexError):
        result[index]


@pytest.mark.parametrize("index", [[0, 1], [0], slice(0, 2), True, None, (0,), np.array([0, 1])], ids=repr)
@pytest.mark.parametrize("draw", ["card", "overlay"])
def test_one_image_is_drawn_by_its_number_only(result, draw, index):
    with pytest.raises(IndexError, match="one image is drawn, by its number"):
        getattr(result, draw)(index)


def test_iterating_gives_one_of_each_image(result):
    ones = list(result)
    assert [int(one.target[0]) for one in ones] == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(np.concatenate([one.values for one in ones]), result.values)


def test_an_attribution_of_a_method_without_an_end_is_indexed_too(explainer):
    assert explainer.attribute(models.images("smooth", 2), None, Saliency())[1].end_score is None


def test_the_result_shows_names_instead_of_numbers(result):
    assert str(result).splitlines()[0].startswith("5 images of shape [1, 6, 6] explained with mfaba-sharp")
