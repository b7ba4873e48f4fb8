"""Whole methods in a file: against the runtime, against the float64 twins, and as a file by itself."""

from __future__ import annotations

import json
from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from twins import mfaba, neflag, neflag_starts, normals, relative_error

from fluxpath import manifest as contract
from fluxpath.cli import main
from fluxpath.errors import ArtifactError, InputError, ModelError, VerificationError
from fluxpath.export import attribution_from_gradient, attribution_from_onnx, verify, whole_method
from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Explainer, NeFLAG, Status

DATA = next(
    (
        folder
        for parent in Path(__file__).resolve().parents
        if (folder := parent / "shared" / "data" / "cifar10" / "resnet20.onnx").is_file()
    ),
    None,
)
CLASSES = 4


def opened(path):
    """The file on ONNX Runtime: (images, target=-1, **further) -> the outputs by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]

    def run(images, target=-1, **further):
        targets = np.broadcast_to(np.asarray(target, np.int64), len(images))
        feeds = {session.get_inputs()[0].name: images, "target": targets, **further}
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run


@pytest.fixture(scope="module")
def whole(graph, tmp_path_factory):
    """`whole(model, method, **settings)` is that file, opened."""
    folder = tmp_path_factory.mktemp("whole")
    known = {}

    def written(model, method, **settings):
        key = (model, method, *sorted(settings.items()))
        if key not in known:
            path = folder / f"{len(known)}.onnx"
            attribution_from_gradient(graph(model), path, method=method, settings=settings)
            known[key] = opened(path)
        return known[key]

    return written


def same(given, result, tolerance=1e-5):
    """A file's outputs are the runtime's."""
    np.testing.assert_array_equal(given["steps"], result.steps)
    np.testing.assert_array_equal(given["status"], result.status)
    np.testing.assert_array_equal(given["explained"], result.target)
    np.testing.assert_array_equal(given["label"], result.label)
    np.testing.assert_allclose(given["score"], result.score, rtol=1e-5)
    for values, true in zip(given["attribution"], result.values, strict=True):
        assert relative_error(values, true) < tolerance


TARGETS = [-1, 0, 3, -1, 2, 1]


@pytest.mark.parametrize("name", ["smooth", "relu", "linear"])
@pytest.mark.parametrize("path", ["taylor", "norm"])
@pytest.mark.parametrize("rule", ["trapezoid", "left"])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_mfaba_is_the_runtimes(whole, graph, name, ascent, rule, path):
    images = models.images(name, 6)
    steps = {"sharp": 12, "smooth": 60}[ascent]
    file = whole(name, f"mfaba-{ascent}", rule=rule, path=path, max_steps=steps)
    with Explainer(graph(name), threads=1) as explainer:
        for target in (None, TARGETS):
            result = explainer.attribute(images, target, MFABA(ascent, rule, path, max_steps=steps))
            same(file(images, -1 if target is None else target), result)


@pytest.mark.parametrize("name", ["smooth", "relu"])
@pytest.mark.parametrize("stop", ["flux", "label"])
def test_neflag_is_the_runtimes(whole, graph, name, stop):
    images = models.images(name, 6)
    settings = {"n": 5, "max_steps": 4, "stop": stop, "seed": 2**40 + 3}
    file = whole(name, "neflag", **settings)
    with Explainer(graph(name), threads=1) as explainer:
        for target in (None, TARGETS):
            same(
                file(images, -1 if target is None else target),
                explainer.attribute(images, target, NeFLAG(**settings)),
            )


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
    file, images = whole("smooth", "neflag", n=2, max_steps=3), models.images("smooth", 3)
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


METHODS = {
    "mfaba-sharp": {"max_steps": 10},
    "mfaba-smooth": {"max_steps": 30, "path": "norm"},
    "neflag": {"n": 3, "max_steps": 3},
    "integrated-gradients": {"steps": 4},
}
every_method = pytest.mark.parametrize("method", METHODS)


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


@every_method
def test_a_model_that_gives_nan(whole, method):
    """NaN at the black image, where integrated gradients from a black baseline must end, too."""
    images = np.stack([np.zeros((1, 6, 6), np.float32), models.images("hole", 1)[0]])
    settings = {**METHODS[method], **({"rule": "left"} if method.startswith("int") else {})}
    out = whole("hole", method, **settings)(images, 1)
    bad = [0, 1] if method.startswith("int") else [0]
    if method == "neflag":
        # Its points lie around the image, where the model is sound.
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
def test_the_file_is_standard_and_stores_weights_once(graph, tmp_path, method):
    path = tmp_path / "whole.onnx"
    done = attribution_from_gradient(graph("relu"), path, method=method, settings=METHODS[method])
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    (loop,) = (n for n in proto.graph.node if n.op_type == "Loop")
    body = loop.attribute[0].g
    assert {n.domain for n in [*proto.graph.node, *body.node]} == {""} and not body.initializer
    assert [(i.domain, i.version) for i in proto.opset_import] == [("", 20)] and proto.ir_version >= 8
    sizes = [numpy_helper.to_array(t).size for t in onnx.load(graph("relu")).graph.initializer]
    further = 3 * 2 * 8 * 8 if method == "neflag" else 0
    assert sum(numpy_helper.to_array(t).size for t in proto.graph.initializer) < sum(sizes) + further + 60
    types = {
        o.name: (o.type.tensor_type.elem_type, len(o.type.tensor_type.shape.dim)) for o in proto.graph.output
    }
    assert types == {
        "attribution": (TensorProto.FLOAT, 4),
        "steps": (TensorProto.INT32, 1),
        "status": (TensorProto.INT32, 1),
        "score": (TensorProto.FLOAT, 1),
        "label": (TensorProto.INT64, 1),
        "explained": (TensorProto.INT64, 1),
    }
    assert done.verification.typical < 1e-4


@every_method
def test_the_standards_reference_gives_the_same(graph, tmp_path, method):
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method=method, settings=METHODS[method])
    images, targets = models.images("smooth", 2), np.array([-1, 2])
    values, steps = ReferenceEvaluator(onnx.load(path)).run(
        ["attribution", "steps"], {"image": images, "target": targets}
    )
    out = opened(path)(images, targets)
    np.testing.assert_array_equal(steps, out["steps"])
    assert relative_error(values, out["attribution"]) < 1e-5


@every_method
def test_an_empty_batch(whole, method):
    out = whole("smooth", method, **METHODS[method])(np.zeros((0, 1, 6, 6), np.float32))
    assert out["attribution"].shape == (0, 1, 6, 6) and len(out["steps"]) == len(out["explained"]) == 0


def test_half_precision_inside(graph, tmp_path):
    attribution_from_gradient(graph("smooth", precision="float16"), tmp_path / "half.onnx")
    images = models.images("smooth", 3)
    with Explainer(graph("smooth", precision="float16"), threads=1) as explainer:
        result = explainer.attribute(images, TARGETS[:3], MFABA())
    same(opened(tmp_path / "half.onnx")(images, TARGETS[:3]), result, tolerance=1e-2)


def test_a_model_so_sure_that_its_probability_has_no_slope(graph, tmp_path):
    """exp(-120) is zero in float32: there is a direction all the same, and nothing to attribute."""
    model = models.MODELS["linear"]()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(1000 * numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, tmp_path / "model.onnx")
    for method, settings in METHODS.items():
        path = tmp_path / f"{method}.onnx"
        attribution_from_onnx(tmp_path / "model.onnx", path, method=method, settings=settings)
        out = opened(path)(models.images("linear", 5))
        assert not (set(out["status"]) & {Status.ZERO_GRADIENT, Status.NON_FINITE})


def small(weights, nodes, inputs=(("x", ["batch", 6]),)):
    """A classifier [batch, 3] of these nodes."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_model_with_the_files_own_names(tmp_path):
    """Initializers, values and a companion input that are called as what the loop adds."""
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal((6, 6)) for n in ("noise", "steps", "loop/point")}
    nodes = [
        helper.make_node("Neg", ["steps"], ["baseline"]),  # from weights alone: moves out of the loop
        helper.make_node("MatMul", ["x", "baseline"], ["attribution"]),
        helper.make_node("Tanh", ["attribution"], ["sum"]),
        helper.make_node("MatMul", ["sum", "noise"], ["status"]),
        helper.make_node("Mul", ["status", "mask"], ["number"]),
        helper.make_node("MatMul", ["number", "loop/point"], ["go_on"]),
        helper.make_node("Slice", ["go_on", "zero", "three", "one"], ["y"]),
    ]
    inputs = (("x", ["batch", 6]), ("mask", ["batch", 6]))
    model = small(weights, nodes, inputs)
    for name, number in (("zero", 0), ("three", 3), ("one", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([number]), name))
    onnx.save(model, tmp_path / "model.onnx")
    for method, settings in METHODS.items():
        path = tmp_path / f"{method}.onnx"
        attribution_from_onnx(tmp_path / "model.onnx", path, method=method, settings=settings, input="x")
        proto = onnx.load(path)
        onnx.checker.check_model(proto, full_check=True)
        (loop,) = (n for n in proto.graph.node if n.op_type == "Loop")
        assert "Neg" in {n.op_type for n in proto.graph.node}
        assert not any("baseline" in n.output for n in loop.attribute[0].g.node)
        out = opened(path)(rng.random((2, 6)).astype(np.float32), mask=np.ones((2, 6), np.float32))
        assert out["attribution"].any(axis=1).all()


def test_a_model_whose_input_has_an_outputs_name(tmp_path):
    weights = {"w": np.ones((6, 3))}
    for name, method, wrong in (
        ("steps", "mfaba-sharp", True),
        ("noise", "neflag", True),
        ("noise", "mfaba-sharp", False),
    ):
        onnx.save(
            small(weights, [helper.make_node("MatMul", [name, "w"], ["y"])], [(name, ["batch", 6])]),
            tmp_path / "m.onnx",
        )
        if wrong:
            with pytest.raises(ModelError, match=f"has an input '{name}', a name that the file uses itself"):
                attribution_from_onnx(tmp_path / "m.onnx", tmp_path / "out.onnx", method=method)
            assert not (tmp_path / "out.onnx").exists()
        else:
            attribution_from_onnx(tmp_path / "m.onnx", tmp_path / "out.onnx", method=method)


def test_sizes_that_the_model_leaves_open(tmp_path):
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("GlobalAveragePool", ["t"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    model = small({"k": rng.standard_normal((3, 2, 3, 3))}, nodes, [("x", ["batch", 2, "h", "w"])])
    onnx.save(model, tmp_path / "model.onnx")
    for method, settings in METHODS.items():
        path = tmp_path / f"{method}.onnx"
        attribution_from_onnx(tmp_path / "model.onnx", path, method=method, settings=settings)
        images = rng.random((2, 2, 9, 7)).astype(np.float32)
        noise = rng.standard_normal((3, 1, 2, 9, 7)).astype(np.float32)
        out = opened(path)(images, **({"noise": noise} if method == "neflag" else {}))
        assert out["attribution"].shape == images.shape and (out["status"] != Status.NON_FINITE).all()
    with pytest.raises(ValueError, match="noise"):
        opened(tmp_path / "neflag.onnx")(images)


def test_an_input_without_bounds_and_another_objective(tmp_path):
    onnx.save(models.MODELS["smooth"](), tmp_path / "model.onnx")
    options = {"input_range": None, "objective": "margin"}
    attribution_from_onnx(
        tmp_path / "model.onnx",
        tmp_path / "out.onnx",
        method="mfaba-smooth",
        settings={"max_steps": 8},
        **options,
    )
    from fluxpath.export import gradient_from_onnx

    gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "gradient.onnx", **options)
    images = np.random.default_rng(0).standard_normal((4, 1, 6, 6)).astype(np.float32)
    with Explainer(tmp_path / "gradient.onnx", threads=1) as explainer:
        result = explainer.attribute(images, TARGETS[:4], MFABA("smooth", max_steps=8))
    same(opened(tmp_path / "out.onnx")(images, TARGETS[:4]), result)


def test_the_manifest_both_ways(graph, tmp_path):
    path = tmp_path / "whole.onnx"
    done = attribution_from_gradient(graph("smooth"), path, method="neflag", settings={"n": 2, "seed": 9})
    contract.check_seal(path.read_bytes())
    text = next(e.value for e in onnx.load(path).metadata_props if e.key == contract.KEY)
    manifest = Manifest.from_json(text, whole_method=True)
    assert manifest == done.manifest == Manifest.from_json(text, whole_method=None)
    assert manifest.method == "neflag" and manifest.error == done.verification.error < 1e-5
    assert manifest.settings == {"n": 2, "radius": 0.1, "max_steps": 20, "stop": "flux", "seed": 9}
    for refuse in (Explainer, verify):
        with pytest.raises(
            ArtifactError, match="no gradient graph but the whole method 'neflag': run it as it is"
        ):
            refuse(path)
    with pytest.raises(ArtifactError, match="whole method 'neflag'"):
        attribution_from_gradient(path, tmp_path / "twice.onnx")
    plain = next(e.value for e in onnx.load(graph("smooth")).metadata_props if e.key == contract.KEY)
    with pytest.raises(ArtifactError, match="is a gradient graph and no whole method"):
        Manifest.from_json(plain, whole_method=True)
    for wrong in (
        {"settings": None},
        {"method": 3},
        {"settings": [1]},
        {"settings": {"n": [1]}},
        {"method": None},
    ):
        with pytest.raises(ArtifactError):
            Manifest.from_json(json.dumps({**json.loads(text), **wrong}), whole_method=None)


def test_a_wrong_loop_is_found_and_leaves_no_file(graph, tmp_path, monkeypatch):
    right = whole_method.MFABA.advance

    def wrong(self, tick):
        state = right(self, tick)
        return {**state, "sum": state["sum"] * 1.01}

    monkeypatch.setattr(whole_method.MFABA, "advance", wrong)
    with pytest.raises(VerificationError, match="mfaba-sharp computed step by step"):
        attribution_from_gradient(graph("smooth"), tmp_path / "wrong.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("mfaba", {}, "no method 'mfaba' for a file, there are mfaba-sharp"),
        ("mfaba-sharp", {"steps": 3}, "mfaba-sharp has no setting 'steps', it has max_steps, path, rule"),
        ("mfaba-sharp", {"path": "cosine"}, "path is 'cosine', which only the runtime can"),
        ("mfaba-sharp", {"max_steps": 0}, "max_steps is 0, it must be an integer from 1"),
        ("mfaba-smooth", {"step_size": -1.0}, "step_size is -1.0, it must be a finite number above zero"),
        ("neflag", {"stop": "never"}, "stop is 'never', it must be 'flux' or 'label'"),
        ("neflag", {"seed": -1}, "seed is -1"),
        ("integrated-gradients", {"rule": "up"}, "rule is 'up', it must be 'left' or 'right'"),
        ("integrated-gradients", {"baseline": "black"}, "baseline is 'black', it must be a finite number"),
        (MFABA(), {}, "it must be a method of fluxpath.export.whole_method"),
        (whole_method.MFABA(), {"max_steps": 3}, "without further settings"),
    ],
)
def test_settings_that_are_none(tmp_path, method, settings, message):
    with pytest.raises(InputError, match=message):
        attribution_from_onnx(tmp_path / "none.onnx", tmp_path / "out.onnx", method=method, settings=settings)


def test_settings_are_the_runtimes():
    for ours, theirs in ((whole_method.MFABA(), MFABA()), (whole_method.NeFLAG(), NeFLAG())):
        assert vars(ours) == vars(theirs)


def test_the_command_line(tmp_path, capsys):
    onnx.save(models.MODELS["smooth"](), tmp_path / "model.onnx")
    command = ["export", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "out.onnx")]
    assert main([*command, "--method", "mfaba-smooth", "--set", "max_steps=7", "--set", "path=norm"]) == 0
    assert "attribution within" in capsys.readouterr().out
    assert opened(tmp_path / "out.onnx")(models.images("smooth", 1))["steps"][0] <= 7
    (tmp_path / "out.onnx").unlink()
    for wrong, message in (
        (["--set", "max_steps=7"], "name the method with --method"),
        (["--method", "mfaba-sharp", "--set", "max_steps"], "write --set max_steps=VALUE"),
        (["--method", "mfaba-sharp", "--plain"], "needs its two factors"),
        (["--method", "mfaba"], "there is no method 'mfaba'"),
    ):
        assert main([*command, *wrong]) == 1
        assert message in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "out.pt"), "--method", "neflag"]) == 1
    assert "written as ONNX" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.skipif(DATA is None, reason="the shared CIFAR-10 data is not beside the repository")
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_the_published_code_in_float64(tmp_path, ascent):
    attribution_from_onnx(DATA, tmp_path / "whole.onnx", method=f"mfaba-{ascent}")
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
