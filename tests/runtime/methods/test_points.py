"""The methods of independent points against their float64 twins: values, points visited, evaluations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import models
import numpy as np
import point_twins as twin
import pytest
from sessions import FEATURES, LinearSession, some_images
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


@pytest.fixture(scope="module", params=["smooth", "relu"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def explainer(graph, name):
    with Explainer(graph(name), threads=1) as opened:
        yield opened


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


def explain(session, images, method, slots=1, target=None):
    with Explainer.from_session(session, slots=slots) as opened:
        return opened.attribute(images, target, method)


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


@pytest.mark.parametrize("rule", ["trapezoid", "right"])
@pytest.mark.parametrize("slots", [1, 3, 64])
def test_the_image_decides_the_target_of_all_points(rule, slots):
    """Also when a lane elsewhere would predict another class, and in any number of slots."""
    images, method = some_images(9), IntegratedGradients(steps=6, rule=rule)
    session = LinearSession()
    result = explain(session, images, method, slots)
    assert (result.target == result.label).all() and len(set(result.label)) > 1
    assert result.values.tobytes() == explain(LinearSession(), images, method, 1).values.tobytes()
    given = explain(LinearSession(), images, method, slots, result.label)
    assert given.values.tobytes() == result.values.tobytes()
    assert given.score.tobytes() == result.score.tobytes()


def test_integrated_gradients_are_complete(explainer, name):
    """And say so where the baseline is among the points."""
    images = models.images(name, 4)
    results = {r: explainer.attribute(images, None, IntegratedGradients(400, r)) for r in RULES[:-1]}
    results[RULES[-1]] = explainer.attribute(images, None, IntegratedGradients(100, RULES[-1]))
    change = results["trapezoid"].score - results["trapezoid"].end_score
    for rule, result in results.items():
        total = result.values.reshape(4, -1).sum(axis=1)
        assert abs(total - change).max() < 5e-3
        if rule in ("trapezoid", "left"):
            np.testing.assert_allclose(result.error_rate, abs(total - change) / abs(change), atol=1e-5)
        else:
            with pytest.raises(ValueError, match="no error rate"):
                _ = result.error_rate


def test_the_ends_of_the_line_are_exact():
    session, image = LinearSession(), some_images(1)
    baseline = np.float32(0.3) * some_images(1, seed=9)[0]
    explain(session, image, IntegratedGradients(steps=3, baseline=baseline), target=0)
    assert session.points[0].tobytes() == baseline.tobytes()
    assert session.points[-1].tobytes() == image[0].tobytes()


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


# --- settings


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
BAD = [
    (Saliency, {"absolute": 1}, "absolute is 1, it must be True or False"),
    (IntegratedGradients, {"steps": 0}, "steps is 0, it must be an integer from 1"),
    (IntegratedGradients, {"steps": 2.0}, "steps is 2.0"),
    (IntegratedGradients, {"steps": 1001, "rule": "gauss-legendre"}, "steps is 1001.* to 1000"),
    (IntegratedGradients, {"rule": "simpson"}, "rule is 'simpson', it must be 'trapezoid' or 'left'"),
    (IntegratedGradients, {"baseline": math.nan}, "baseline .* must hold finite numbers"),
    (IntegratedGradients, {"baseline": 1e39}, "baseline .* must hold finite numbers"),
    (IntegratedGradients, {"baseline": "black"}, "baseline cannot be read as an array of numbers"),
    (IntegratedGradients, {"baseline": [[0.0], [0.0, 1.0]]}, "baseline cannot be read"),
    (IntegratedGradients, {"baseline": []}, "baseline of shape \\[0\\]"),
    (SmoothGrad, {"n": 0}, "n is 0"),
    (SmoothGrad, {"sigma": 0}, "sigma is 0, it must be a finite number above zero"),
    (SmoothGrad, {"variant": "median"}, "variant is 'median', it must be 'mean' or 'squared' or 'variance'"),
    (SmoothGrad, {"seed": -1}, "seed is -1"),
    (SmoothGrad, {"clip": None}, "clip is None, it must be True or False"),
    (ExpectedGradients, {"background": [0.5, 0.5]}, "background has shape \\[2\\], it must be inputs"),
    (ExpectedGradients, {"background": GREY * math.inf}, "background .* must hold finite numbers"),
    (ExpectedGradients, {"background": GREY, "n": -1}, "n is -1"),
    (LPI, {"references": 0.5}, "references has shape \\[\\], it must be inputs"),
    (
        LPI,
        {"references": GREY, "densities": [1.0]},
        "densities of shape \\[1\\] must be 2 numbers above zero",
    ),
    (LPI, {"references": GREY, "densities": [1.0, 0.0]}, "densities .* must be 2 numbers above zero"),
    (LPI, {"references": GREY, "steps": 0}, "steps is 0"),
    (LPI, {"references": GREY, "rule": "left"}, "rule is 'left', it must be 'random' or 'middle'"),
]


@pytest.mark.parametrize(("make", "settings", "message"), BAD)
def test_bad_settings(make, settings, message):
    with pytest.raises(InputError, match=message):
        make(**settings)


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


@pytest.mark.parametrize("name", ["image_lane", "end_lane"])
@pytest.mark.parametrize("lane", [-1, 4, 1.0])
def test_a_marked_lane_must_be_one_of_the_methods(name, lane):
    @dataclass(frozen=True)
    class Wrong(Saliency):
        lanes: int = 4

    setattr(Wrong, name, lane)
    with (
        Explainer.from_session(LinearSession()) as opened,
        pytest.raises(InputError, match=f"{name} of the method is {lane}, it must be an integer from 0 to 3"),
    ):
        opened.attribute(some_images(1), None, Wrong())


def test_a_sum_over_references_is_the_change_from_their_mean_score():
    """In expectation for Expected Gradients, up to the integral's error for LPI."""
    session, images = LinearSession(), some_images(3)
    references, densities = some_images(4, seed=7), np.array([1.0, 2.0, 3.0, 4.0])
    for i, image in enumerate(images.astype(np.float64)):
        gradient = session.gradient(image)
        scores = [gradient(r)[0] for r in references.astype(np.float64)]
        result = explain(LinearSession(), images[i], LPI(references, densities, 50, "middle"), 64)
        wanted = gradient(image)[0] - np.average(scores, weights=densities)
        assert result.values.sum() == pytest.approx(wanted, abs=2e-3)
        result = explain(LinearSession(), images[i], ExpectedGradients(references, 3000), 64)
        assert result.values.sum() == pytest.approx(gradient(image)[0] - np.mean(scores), abs=0.05)
