"""MFABA through the explainer against its float64 twin, and against what the paper promises of it."""

from __future__ import annotations

import math
from itertools import product

import models
import numpy as np
import pytest
from twins import mfaba, relative_error

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer, NeFLAG, Status

VARIANTS = list(product(("sharp", "smooth"), ("trapezoid", "left"), ("taylor", "norm", "cosine")))
STEP = {"sharp": 0.1, "smooth": 0.01}
"""The smooth default of 0.001 would need hundreds of steps on so small an image."""


@pytest.fixture(scope="module")
def explainers(graph):
    opened = {name: Explainer(graph(name), threads=1) for name in ("smooth", "relu", "linear", "sure")}
    yield opened
    for explainer in opened.values():
        explainer.close()


def compare(explainer, gradient, images, target=None, *, tolerance=5e-6, **method):
    result = explainer.attribute(images, target, MFABA(**method))
    for i, image in enumerate(images):
        model = gradient.for_target(None if target is None else target[i])
        walk = mfaba(model, image.astype(np.float64), None if target is None else target[i], **method)
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        assert result.score[i] == pytest.approx(walk.scores[0], rel=1e-5)
        assert result.end_score[i] == pytest.approx(walk.scores[-1], rel=1e-5)
        assert relative_error(result.values[i], walk.values) < tolerance
    return result


@pytest.mark.parametrize("name", ["smooth", "relu"])
@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_every_variant_is_its_twin(explainers, float64, name, ascent, rule, path):
    method = {"ascent": ascent, "rule": rule, "path": path, "step_size": STEP[ascent]}
    result = compare(explainers[name], float64(name), models.images(name, 10), **method)
    assert set(result.status) == {Status.BOUNDARY} and len(set(result.steps)) >= 3
    assert (result.target == result.label).all()


@pytest.mark.parametrize("path", ["taylor", "norm", "cosine"])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_the_walk_ends_at_max_steps(explainers, float64, ascent, path):
    method = {"ascent": ascent, "path": path, "max_steps": 3, "step_size": STEP[ascent] / 10}
    # The two mapped paths multiply with x_0 - x_n, here of 0.003 a pixel: float32 pixels leave 1e-5 of it.
    tolerance = 5e-6 if path == "taylor" else 2e-5
    images = models.images("smooth", 5)
    result = compare(explainers["smooth"], float64("smooth"), images, tolerance=tolerance, **method)
    assert set(result.status) == {Status.BOUNDARY, Status.MAX_STEPS}
    assert (result.steps[result.status == Status.MAX_STEPS] == 3).all()


@pytest.mark.parametrize(("ascent", "size"), [("sharp", 1.5), ("smooth", 0.2)])
def test_the_walk_of_a_sure_model_stays_in_radius_and_range(explainers, float64, ascent, size):
    """Steps so large that both stop the second one; and the prediction is saturated all along."""
    images = models.images("sure", 5)
    method = {"ascent": ascent, "max_steps": 4, "step_size": size}
    result = compare(explainers["sure"], float64("sure"), images, **method)
    assert set(result.status) == {Status.MAX_STEPS} and set(result.score) == {1.0}
    assert 0 < abs(result.values).max() < 1e-12


def test_any_class_can_be_the_target(explainers, float64):
    """One that is not predicted is left at once, but for the one step that every walk takes."""
    images = np.repeat(models.images("smooth", 1), 4, axis=0)
    result = compare(explainers["smooth"], float64("smooth"), images, [0, 1, 2, 3])
    assert result.target.tolist() == [0, 1, 2, 3]
    assert len(set(result.label)) == 1
    assert all(result.steps[result.target != result.label] == 1)
    one = explainers["smooth"].attribute(images, 2)
    assert one.target.tolist() == [2, 2, 2, 2]
    assert relative_error(one.values[3], result.values[2]) < 1e-6


@pytest.mark.parametrize(("ascent", "size"), [("sharp", 0.1), ("smooth", 0.001)])
def test_the_published_steps(explainers, ascent, size):
    images = models.images("smooth", 4)
    none = explainers["smooth"].attribute(images, None, MFABA(ascent, step_size=None))
    explicit = explainers["smooth"].attribute(images, None, MFABA(ascent, step_size=size))
    assert none.values.tobytes() == explicit.values.tobytes()
    assert MFABA.published(ascent) == MFABA(ascent, "left", "taylor", 50, size)
    with pytest.raises(InputError, match="ascent is 'steep'"):
        MFABA.published("steep")


def test_the_default_step_comes_from_the_image():
    assert MFABA() == MFABA("sharp", "trapezoid", "taylor", 50, "auto")
    assert NeFLAG() == NeFLAG(1, "auto", 20, "flux", 0)
    assert NeFLAG.paper() == NeFLAG(20, 0.1, 20, "flux", 0)


def test_the_float64_gradient_of_these_tests_is_the_derivative(float64):
    """Central differences of the score, independent of the gradient graph's backward part."""
    for name in ("smooth", "linear"):
        x = models.images(name, 1)[0].astype(np.float64)
        model = float64(name)
        _, _, gradient = model(x)
        v = np.random.default_rng(0).standard_normal(x.shape)
        slope = (model(x + 1e-6 * v)[0] - model(x - 1e-6 * v)[0]) / 2e-6
        assert (gradient * v).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", ["smooth", "relu", "linear"])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_completeness(explainers, name, ascent):
    """The values sum up to the change of the score: Eq. 10. The trapezoid is exact to second order."""
    images = models.images(name, 24, seed=5)
    rates = {
        rule: explainers[name].attribute(images, None, MFABA(ascent, rule, step_size=STEP[ascent])).error_rate
        for rule in ("trapezoid", "left")
    }
    means = {rule: float(rate.mean()) for rule, rate in rates.items()}
    print(f"error rate, {name} model, {ascent}: {means['trapezoid']:.4f}, left rule {means['left']:.4f}")
    assert means["trapezoid"] < 0.04
    assert means["trapezoid"] < 0.5 * means["left"]


def test_halving_the_step_quarters_the_trapezoids_error(explainers):
    """And halves that of the left rule: second and first order."""
    images = models.images("linear", 16, seed=6)
    rate = {
        (rule, parts): explainers["linear"]
        .attribute(images, None, MFABA("sharp", rule, step_size=0.4 / parts, max_steps=2 * parts))
        .error_rate
        for rule in ("trapezoid", "left")
        for parts in (2, 4)
    }
    steady = rate["left", 4] > 0  # where both walks end at their last step, at the same length
    order = {r: np.median(rate[r, 2][steady] / rate[r, 4][steady]) for r in ("trapezoid", "left")}
    assert 3 < order["trapezoid"] < 5.5
    assert 1.5 < order["left"] < 2.5


def test_norm_and_cosine_give_multiples_of_the_chord(explainers):
    """Both put the points on the straight line, so a pixel that ends where it began has no share."""
    images = models.images("relu", 4)
    images[:, :, :2, :2] = 0.0
    for path in ("norm", "cosine"):
        method = MFABA("smooth", path=path, step_size=0.01, max_steps=1)
        taylor = explainers["relu"].attribute(images, None, MFABA("smooth", step_size=0.01, max_steps=1))
        values = explainers["relu"].attribute(images, None, method).values
        assert relative_error(values, taylor.values) < 5e-6  # of one step, chord and walk are the same


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ascent": "steep"}, r"ascent is 'steep', it must be 'sharp' or 'smooth'"),
        ({"ascent": None}, r"ascent is None"),
        ({"rule": "simpson"}, r"rule is 'simpson', it must be 'trapezoid' or 'left'"),
        ({"path": "straight"}, r"path is 'straight', it must be 'taylor' or 'norm' or 'cosine'"),
        ({"path": ["taylor"]}, r"path is \['taylor'\]"),
        *(
            ({"max_steps": v}, r"max_steps is .*, it must be an integer from 1")
            for v in (0, -1, 2.0, "9", True)
        ),
        *(({"accumulate": v}, r"accumulate is .*, it must be True or False") for v in (1, None, "yes")),
        ({"max_steps": 2**31}, r"max_steps is 2147483648, it must be an integer from 1 to 2147483647"),
        *(
            ({"step_size": v}, r"step_size is .*, it must be a finite number above zero")
            for v in (0, -0.1, math.nan, math.inf, True, 1e39, 1e-50)
        ),
        ({"step_size": "0.1"}, r"step_size is '0.1', it must be 'auto' or a number above zero"),
    ],
)
def test_settings_of_mfaba(settings, message):
    with pytest.raises(InputError, match=message):
        MFABA(**settings)
