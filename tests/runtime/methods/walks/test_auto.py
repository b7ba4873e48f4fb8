"""Lengths that come from the image: against the twins, at any scale of the input, whatever the objective."""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import CurvedSession, DeviceLinear, LinearSession, some_images
from twins import mfaba, neflag, neflag_starts, reach, relative_error

from fluxpath.errors import InputError
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import MFABA, Explainer, Method, NeFLAG, Status

ASCENTS = ["sharp", "smooth"]
AUTO = [MFABA(a, step_size="auto") for a in ASCENTS] + [NeFLAG(n=3, radius="auto", max_steps=4)]


@pytest.mark.parametrize("path", ["taylor", "norm", "cosine"])
@pytest.mark.parametrize("ascent", ASCENTS)
def test_mfaba_is_its_twin(explainer, float64, name, ascent, path):
    images = models.images(name, 10)
    result = explainer.attribute(images, None, MFABA(ascent, path=path, step_size="auto"))
    for i, image in enumerate(images):
        model = float64(name)
        walk = mfaba(model, image.astype(np.float64), ascent=ascent, path=path, step_size="auto")
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        assert relative_error(result.values[i], walk.values) < 2e-5
    assert set(result.status) == {Status.BOUNDARY} and result.steps.max() < 20


@pytest.mark.parametrize("target", [None, 2])
def test_neflag_is_its_twin(explainer, float64, name, target):
    images = models.images(name, 6)
    result = explainer.attribute(images, target, NeFLAG(n=3, radius="auto", seed=4))
    for i, image in enumerate(images.astype(np.float64)):
        model = float64(name).for_target(target)
        radius = NeFLAG.SHARE * reach(model, image, "smooth")
        walk = neflag(model, image, neflag_starts(image, 3, 4, radius), target, radius=radius)
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        assert relative_error(result.values[i], walk.values) < 2e-5


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "sigmoid", "logit", "margin"])
def test_every_objective_has_its_distance(graph, tmp_path, objective):
    source = tmp_path / "model.onnx"
    models.write("smooth", source)
    gradient_from_onnx(source, tmp_path / "g.onnx", objective=objective)
    double = models.Float64Gradient(tmp_path / "g.onnx")
    images = models.images("smooth", 6)
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        for ascent in ASCENTS:
            result = explainer.attribute(images, None, MFABA(ascent, step_size="auto"))
            for i, image in enumerate(images.astype(np.float64)):
                model = double.for_target(int(result.target[i]))
                walk = mfaba(
                    model, image, int(result.target[i]), ascent=ascent, step_size="auto", objective=objective
                )
                assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
                assert relative_error(result.values[i], walk.values) < 5e-5


@pytest.mark.parametrize("method", AUTO, ids=repr)
def test_it_is_the_same_in_any_unit_of_the_input(graph, tmp_path, method):
    """Levels of 255 for numbers up to one: as many steps, attributions in the same unit."""
    images = models.images("smooth", 12)
    models.write("smooth255", tmp_path / "m.onnx")
    gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input_range=(0, 255))
    with Explainer(graph("smooth"), threads=1) as unit, Explainer(tmp_path / "g.onnx", threads=1) as levels:
        first = unit.attribute(images, method=method)
        second = levels.attribute(255 * images, method=method)
    np.testing.assert_array_equal(first.steps, second.steps)
    np.testing.assert_allclose(first.values, second.values, rtol=1e-3, atol=1e-5)


def test_an_input_without_a_range(tmp_path):
    """No width gives a unit there, and none is needed."""
    models.write("linear", tmp_path / "m.onnx")
    gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input_range=None)
    images = models.images("linear", 8)
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        result = explainer.attribute(images, method=MFABA(step_size="auto"))
        assert set(result.status) == {Status.BOUNDARY} and result.steps.max() <= 8
        flux = explainer.attribute(images, method=NeFLAG(n=2, radius="auto"))
        assert np.isfinite(flux.values).all() and flux.values.any()


@pytest.mark.parametrize(("name", "odds"), [("sure", 40), ("surer", 70)])
def test_where_the_probability_rounds_to_one(graph, name, odds):
    """The first step is a quarter of the way to the boundary of this linear model, clipped to its range."""
    image = np.full((1, 1, 6, 6), 0.5, np.float32)
    with Explainer(graph(name), threads=1) as explainer:
        walk = explainer.walk(image[0], method=MFABA(step_size="auto"))
    weight = models.initializer(name, "w").astype(np.float64)
    z = models.initializer(name, "b") + image.ravel() @ weight
    others = np.exp(z[1:] - z[1:].max())
    gradient = weight[:, 0] - weight[:, 1:] @ (others / others.sum())
    d = z[0] - z[1:].max() - np.log(others.sum())
    assert d == pytest.approx(odds, abs=3)
    step = -d / 4 * gradient / (gradient @ gradient)
    np.testing.assert_allclose(walk.points[1].ravel(), np.clip(0.5 + step, 0, 1), atol=1e-5)


@pytest.mark.parametrize("method", AUTO, ids=repr)
def test_without_a_gradient_and_where_float32_ends(graph, method):
    for name, status in (
        ("flat", Status.ZERO_GRADIENT),
        ("surest_flat", Status.ZERO_GRADIENT),
        ("surest", Status.UNDERFLOW),
    ):
        with Explainer(graph(name), threads=1) as explainer:
            result = explainer.attribute(models.images(name, 3), method=method)
        assert set(result.status) == {status} and not result.values.any()


def test_what_is_not_finite_at_the_image_is_told(graph):
    with Explainer(graph("hole"), threads=1) as explainer:
        for method in AUTO:
            result = explainer.attribute(np.zeros((1, 1, 6, 6), np.float32), 1, method)
            assert result.status == [Status.NON_FINITE] and not result.values.any()


@pytest.mark.parametrize("method", AUTO, ids=repr)
def test_an_image_has_the_same_bits_in_any_company(method):
    images = some_images(9)
    for make in (CurvedSession, LinearSession):
        with Explainer.from_session(make(), slots=4) as explainer:
            other = explainer.submit(images, method=MFABA(step_size=0.05))
            together = explainer.attribute(images, method=method)
            other.result()
            backwards = explainer.attribute(images[::-1], method=method)
        with Explainer.from_session(make(), slots=1) as explainer:
            for i in range(9):
                alone = explainer.attribute(images[i], method=method)
                assert alone.values.tobytes() == together.values[i].tobytes()
                assert alone.values.tobytes() == backwards.values[8 - i].tobytes()


@pytest.mark.parametrize("method", AUTO, ids=repr)
def test_on_a_device(method):
    """Slots are refilled and moved meanwhile: a lane takes its distance along."""
    images = some_images(9)
    with Explainer.from_session(LinearSession(), slots=4) as here:
        expected = here.attribute(images, method=method)
    for target in (None, 1):
        session = DeviceLinear()
        assert isinstance(session.device, HostDevice)
        with (
            Explainer.from_session(session, slots=4) as there,
            Explainer.from_session(LinearSession(), slots=4) as here,
        ):
            given, expected = (e.attribute(images, target, method) for e in (there, here))
        np.testing.assert_array_equal(given.steps, expected.steps)
        np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", [None, 1])
def test_the_radius_costs_one_evaluation_for_an_image(target):
    for radius in ("auto", 0.1):
        session = LinearSession()
        with Explainer.from_session(session, slots=8) as explainer:
            result = explainer.attribute(some_images(3), target, NeFLAG(n=4, radius=radius))
        assert sum(session.counts) == 3 + 3 * 4 + result.steps.sum()


def test_one_element():
    session = LinearSession(features=1, seed=3)
    with Explainer.from_session(session) as explainer:
        for method in AUTO:
            result = explainer.attribute(np.array([[0.9], [0.2]], np.float32), method=method)
            assert np.isfinite(result.values).all() and (result.steps > 0).all()


@pytest.mark.parametrize("method", AUTO, ids=repr)
def test_a_plain_file_is_refused(tmp_path, method: Method):
    models.write("linear", tmp_path / "m.onnx")
    gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", factored=False)
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        with pytest.raises(InputError, match=r"pass a length, such as step_size=0.1 or radius=0.1"):
            explainer.attribute(models.images("linear", 1), method=method)
        explainer.attribute(models.images("linear", 1), method=MFABA(step_size=0.1))


@pytest.mark.parametrize("wrong", ["Auto", "", "0.1"])
def test_another_word_is_refused(wrong):
    with pytest.raises(InputError, match="must be 'auto' or a number above zero"):
        MFABA(step_size=wrong)
    with pytest.raises(InputError, match="must be 'auto' or a number above zero"):
        NeFLAG(radius=wrong)
