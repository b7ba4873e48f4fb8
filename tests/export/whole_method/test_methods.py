"""Whole methods in a file: against the runtime, against the float64 twins, image by image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from twins import mfaba, neflag, neflag_starts, normals, relative_error
from whole_files import METHODS, TARGETS, every_method, opened, same

from fluxpath.errors import InputError
from fluxpath.export import (
    attribution_from_gradient,
    attribution_from_onnx,
    gradient_from_onnx,
    whole_method,
)
from fluxpath.runtime import MFABA, Explainer, NeFLAG, Status
from fluxpath.runtime.methods.named import method_named

DATA = next(
    (
        folder
        for parent in Path(__file__).resolve().parents
        if (folder := parent / "shared" / "data" / "cifar10" / "resnet20.onnx").is_file()
    ),
    None,
)
CLASSES = 4


@pytest.mark.parametrize("name", ["smooth", "relu", "linear"])
@pytest.mark.parametrize("path", ["taylor", "norm"])
@pytest.mark.parametrize("rule", ["trapezoid", "left"])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_mfaba_is_the_runtimes(whole, graph, name, ascent, rule, path):
    images = models.images(name, 6)
    steps = {"sharp": 12, "smooth": 60}[ascent]
    file = whole(name, f"mfaba-{ascent}", rule=rule, path=path, max_steps=steps, step_size=None)
    with Explainer(graph(name), threads=1) as explainer:
        for target in (None, TARGETS):
            result = explainer.attribute(images, target, MFABA(ascent, rule, path, steps, None))
            same(file(images, -1 if target is None else target), result)


@pytest.mark.parametrize("name", ["smooth", "relu"])
@pytest.mark.parametrize("stop", ["flux", "label"])
def test_neflag_is_the_runtimes(whole, graph, name, stop):
    images = models.images(name, 6)
    settings = {"n": 5, "max_steps": 4, "stop": stop, "seed": 2**40 + 3, "radius": 0.1}
    file = whole(name, "neflag", **settings)
    with Explainer(graph(name), threads=1) as explainer:
        for target in (None, TARGETS):
            same(
                file(images, -1 if target is None else target),
                explainer.attribute(images, target, NeFLAG(**settings)),
            )


@pytest.mark.parametrize("name", ["smooth", "relu", "sure", "steep"])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("mfaba-sharp", {"step_size": "auto", "max_steps": 12}),
        ("mfaba-sharp", {"step_size": "auto", "max_steps": 12, "path": "norm"}),
        ("mfaba-smooth", {"step_size": "auto", "max_steps": 12}),
        ("neflag", {"radius": "auto", "n": 3, "max_steps": 4}),
    ],
)
def test_lengths_from_the_image_are_the_runtimes(whole, graph, name, method, settings):
    images = models.images(name, 6)
    file = whole(name, method, **settings)
    with Explainer(graph(name), threads=1) as explainer:
        for target in (None, TARGETS):
            result = explainer.attribute(images, target, method_named(method, **settings))
            same(file(images, -1 if target is None else target), result, 3e-5)


@pytest.mark.parametrize("objective", ["log_softmax", "sigmoid", "logit", "margin"])
@pytest.mark.parametrize("method", ["mfaba-smooth", "neflag"])
def test_lengths_from_the_image_for_every_objective(tmp_path, objective, method):
    settings = {"neflag": {"radius": "auto", "n": 2}}.get(method, {"step_size": "auto"})
    models.write("smooth", tmp_path / "m.onnx")
    gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", objective=objective)
    attribution_from_gradient(tmp_path / "g.onnx", tmp_path / "w.onnx", method=method, settings=settings)
    images = models.images("smooth", 6)
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        result = explainer.attribute(images, TARGETS, method_named(method, **settings))
    same(opened(tmp_path / "w.onnx")(images, TARGETS), result, 3e-5)


@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
@pytest.mark.parametrize("step_size", [None, 0.02])
def test_mfaba_is_its_twin(whole, float64, ascent, step_size):
    images = models.images("smooth", 4, seed=5)
    out = whole("smooth", f"mfaba-{ascent}", max_steps=9, step_size=step_size)(images)
    for i, image in enumerate(images):
        model = float64("smooth")
        walk = mfaba(model, image.astype(np.float64), ascent=ascent, max_steps=9, step_size=step_size)
        assert (out["steps"][i], out["status"][i]) == (walk.steps, walk.status)
        assert out["score"][i] == pytest.approx(walk.scores[0], rel=1e-5)
        assert relative_error(out["attribution"][i], walk.values) < 1e-5


def test_the_smooth_walk_stays_near_the_image(whole, float64):
    """Steps of a fifth reach the bounds of 0.3 and of the input's range."""
    images = models.images("smooth", 3, seed=6)
    out = whole("smooth", "mfaba-smooth", max_steps=4, step_size=0.2)(images, 1)
    for i, image in enumerate(images):
        model = float64("smooth").for_target(1)
        walk = mfaba(model, image.astype(np.float64), 1, ascent="smooth", max_steps=4, step_size=0.2)
        assert (out["steps"][i], out["status"][i]) == (walk.steps, walk.status)
        assert relative_error(out["attribution"][i], walk.values) < 1e-5


def integral(gradient, image, baseline, places):
    """The definition of integrated gradients: weighted points between baseline (0) and image (1)."""
    total = np.zeros_like(image)
    for place, weight in places:
        total += weight * gradient(baseline + place * (image - baseline))[2]
    return (image - baseline) * total


def places_of(rule, n):
    """The four rules, a piece after another."""
    ends = {"left": [0], "right": [1], "middle": [0.5], "trapezoid": [0, 1]}[rule]
    return [((piece + end) / n, 1 / n / len(ends)) for piece in range(n) for end in ends]


@pytest.mark.parametrize("rule", ["left", "right", "middle", "trapezoid"])
@pytest.mark.parametrize("baseline", [0.0, 0.25])
def test_integrated_gradients_is_its_definition(whole, float64, rule, baseline):
    images = models.images("smooth", 3)
    out = whole("smooth", "integrated-gradients", steps=7, rule=rule, baseline=baseline)(images, 2)
    for i, image in enumerate(images.astype(np.float64)):
        model = float64("smooth").for_target(2)
        true = integral(model, image, np.full_like(image, baseline), places_of(rule, 7))
        assert relative_error(out["attribution"][i], true) < 1e-5
        assert out["score"][i] == pytest.approx(model(image)[0], rel=1e-5)
    assert set(out["status"]) == {Status.COMPLETE}
    assert set(out["steps"]) == {8 if rule == "trapezoid" else 7}


def test_integrated_gradients_is_complete(whole, float64):
    images = models.images("smooth", 2)
    out = whole("smooth", "integrated-gradients", steps=200, rule="middle")(images)
    for i in range(2):
        model = float64("smooth").for_target(int(out["explained"][i]))
        change = model(images[i].astype(np.float64))[0] - model(np.zeros((1, 6, 6)))[0]
        assert out["attribution"][i].sum() == pytest.approx(change, abs=1e-4)


def test_a_baseline_that_is_given(graph, tmp_path, float64):
    given = models.images("smooth", 2, seed=9)
    method = whole_method.IntegratedGradients(steps=5, baseline=given[0])
    attribution_from_gradient(graph("smooth"), tmp_path / "ig.onnx", method=method)
    file, images = opened(tmp_path / "ig.onnx"), models.images("smooth", 2)
    for baselines, feeds in (
        (given[[0, 0]], {}),
        (given, {"baseline": given}),
        (given[[1, 1]], {"baseline": given[1:]}),
    ):
        out = file(images, 1, **feeds)
        for i, image in enumerate(images.astype(np.float64)):
            model = float64("smooth").for_target(1)
            true = integral(model, image, baselines[i].astype(np.float64), places_of("trapezoid", 5))
            assert relative_error(out["attribution"][i], true) < 1e-5
    refused = file(images, 1, baseline=np.stack([given[0], np.full_like(given[0], np.nan)]))
    assert refused["status"].tolist() == [Status.COMPLETE, Status.NON_FINITE]
    with pytest.raises(InputError, match=r"baseline has shape \[3\], it must be a number or \[1, 6, 6\]"):
        attribution_from_gradient(
            graph("smooth"),
            tmp_path / "no.onnx",
            method=whole_method.IntegratedGradients(baseline=np.zeros(3)),
        )


def test_neflag_is_its_twin(whole, float64):
    images = models.images("smooth", 3, seed=4)
    out = whole("smooth", "neflag", n=3, radius=0.05, max_steps=5, seed=7)(images)
    for i, image in enumerate(images.astype(np.float64)):
        starts = neflag_starts(image, 3, 7, 0.05)
        walk = neflag(float64("smooth"), image, starts, radius=0.05, max_steps=5)
        assert (out["steps"][i], out["status"][i]) == (walk.steps, walk.status)
        assert relative_error(out["attribution"][i], walk.values) < 1e-5


def test_noise_that_is_given(whole, float64):
    file, images = whole("smooth", "neflag", n=2, max_steps=3, radius=0.1), models.images("smooth", 3)
    noise = np.random.default_rng(1).standard_normal((2, 3, 1, 6, 6)).astype(np.float32)
    out = file(images, noise=noise)
    for i, image in enumerate(images.astype(np.float64)):
        units = [u / np.linalg.norm(u) for u in noise[:, i].astype(np.float64)]
        starts = [np.clip(image + 0.1 * u, 0, 1) for u in units]
        walk = neflag(float64("smooth"), image, starts, max_steps=3)
        assert out["steps"][i] == walk.steps
        assert relative_error(out["attribution"][i], walk.values) < 1e-5
    shared = file(images, noise=noise[:, 1:2])
    assert relative_error(shared["attribution"][1], out["attribution"][1]) < 1e-6
    assert relative_error(shared["attribution"][0], out["attribution"][0]) > 1e-3
    noise[1, 2] = 0
    assert (file(images, noise=noise)["status"] == Status.NON_FINITE).tolist() == [False, False, True]


def test_the_noise_inside_is_the_runtimes():
    given = whole_method.philox.normals(2**63 + 5, 3, 11)
    assert given.dtype == np.float32 and given.shape == (3, 11)
    for lane in range(3):
        np.testing.assert_allclose(given[lane], normals(2**63 + 5, lane, 11), rtol=2e-5, atol=2e-7)


@every_method
def test_an_image_has_the_same_attribution_in_any_batch(whole, method):
    images, targets = models.images("relu", 6), np.array(TARGETS)
    file = whole("relu", method, **METHODS[method])
    together, backwards = file(images, targets), file(images[::-1], targets[::-1])
    for i in range(6):
        alone = file(images[i : i + 1], targets[i : i + 1])
        for out, place in ((together, i), (backwards, 5 - i)):
            for name in ("steps", "status", "label", "explained"):
                assert out[name][place] == alone[name][0]
            assert relative_error(out["attribution"][place], alone["attribution"][0]) < 2e-6


@every_method
def test_what_cannot_be_explained_is_refused_by_itself(whole, method):
    """A file cannot raise: it says so in the status, and leaves the images beside alone."""
    file, images = whole("smooth", method, **METHODS[method]), models.images("smooth", 7)
    true = file(images)
    for place, pixel in ((1, np.nan), (2, np.inf), (3, -np.inf), (4, 1.01), (5, -0.01)):
        images[place, 0, 2, 3] = pixel
    out = file(images, [-1, -1, -1, -1, -1, -1, CLASSES])
    assert out["status"].tolist()[1:] == [Status.NON_FINITE] * 6
    assert np.isnan(out["score"][1:]).all() and not out["attribution"][1:].any()
    assert out["status"][0] == true["status"][0] and out["score"][0] == true["score"][0]
    np.testing.assert_array_equal(out["attribution"][0], true["attribution"][0])


@pytest.mark.parametrize(("method", "more"), [*((m, {}) for m in METHODS), ("neflag", {"radius": 0.1})])
def test_a_model_that_gives_nan(whole, method, more):
    """NaN at the black image, where integrated gradients from a black baseline must end, too."""
    images = np.stack([np.zeros((1, 6, 6), np.float32), models.images("hole", 1)[0]])
    settings = {**METHODS[method], **({"rule": "left"} if method.startswith("int") else {}), **more}
    out = whole("hole", method, **settings)(images, 1)
    bad = [0, 1] if method.startswith("int") else [0]
    if more:
        # Its points lie around the image, where the model is sound; only "auto" asks for the radius there.
        bad = []
    assert np.flatnonzero(out["status"] == Status.NON_FINITE).tolist() == bad
    assert not out["attribution"][bad].any() and np.isfinite(out["attribution"]).all()


@every_method
def test_a_model_without_gradient(whole, method):
    out = whole("flat", method, **METHODS[method])(models.images("flat", 2))
    end = Status.COMPLETE if method.startswith("int") else Status.ZERO_GRADIENT
    assert set(out["status"]) == {end} and not out["attribution"].any()
    np.testing.assert_allclose(out["score"], 0.25)


@every_method
def test_what_float32_cannot_express_is_a_status_and_zeros(whole, graph, method):
    images = models.images("surest", 3)
    settings = {**METHODS[method], **({"baseline": 0.5} if method.startswith("int") else {})}
    out = whole("surest", method, **settings)(images)
    assert set(out["status"]) == {Status.UNDERFLOW} and not out["attribution"].any() and out["steps"].all()
    less = whole("sure", method, **settings)(images)
    assert Status.UNDERFLOW not in less["status"] and less["attribution"].any(axis=(1, 2, 3)).all()
    flat = whole("surest_flat", method, **settings)(images)
    assert Status.UNDERFLOW not in flat["status"] and not flat["attribution"].any()
    refused = whole("surest", method, **settings)(images + 2)
    assert set(refused["status"]) == {Status.NON_FINITE}


@every_method
def test_an_empty_batch(whole, method):
    out = whole("smooth", method, **METHODS[method])(np.zeros((0, 1, 6, 6), np.float32))
    assert out["attribution"].shape == (0, 1, 6, 6) and len(out["steps"]) == len(out["explained"]) == 0


@pytest.mark.skipif(DATA is None, reason="the shared CIFAR-10 data is not beside the repository")
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_the_published_code_in_float64(tmp_path, ascent):
    method = replace(whole_method.MFABA.published(ascent), rule="trapezoid")
    attribution_from_onnx(DATA, tmp_path / "whole.onnx", method=method)
    with np.load(DATA.parent / "mfaba_reference_float64.npz") as file:
        reference = dict(file)
    with np.load(DATA.parent / "images.npz") as file:
        images = file["images"][reference["index"]].astype(np.float32) / 255
    out = opened(tmp_path / "whole.onnx")(images, reference["target"])
    np.testing.assert_array_equal(out["steps"], reference[f"{ascent}_steps"])
    np.testing.assert_array_equal(out["status"] == Status.BOUNDARY, reference[f"{ascent}_success"])
    pairs = zip(out["attribution"], reference[f"{ascent}_trapezoid"], strict=True)
    errors = [relative_error(given, true) for given, true in pairs]
    assert np.percentile(errors, 90) <= 1e-4 and np.median(errors) <= 2e-5
