"""Whole methods as a file by itself: standard, sealed, for any model, and made from the command line."""

from __future__ import annotations

import json

import models
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from twins import relative_error
from whole_files import METHODS, TARGETS, every_method, opened, same

from fluxpath import manifest as contract
from fluxpath.cli import main
from fluxpath.errors import ArtifactError, InputError, ModelError, VerificationError
from fluxpath.export import attribution_from_gradient, attribution_from_onnx, verify, whole_method
from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Explainer, NeFLAG, Status
from fluxpath.seal import unseal


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
def test_the_file_says_what_it_is(graph, tmp_path, method):
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("relu"), path, method=method, settings=METHODS[method])
    proto = onnx.load(path)
    assert method in proto.doc_string and "softmax" in proto.doc_string
    assert all(v.doc_string for v in [*proto.graph.input, *proto.graph.output])
    assert "at least 0, at most 1" in proto.graph.input[0].doc_string


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
        helper.make_node("Sin", ["steps"], ["baseline"]),  # from weights alone: moves out of the loop
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
        assert "Sin" in {n.op_type for n in proto.graph.node}
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
    unseal(path.read_bytes(), whole_method=True)
    text = next(e.value for e in onnx.load(path).metadata_props if e.key == contract.KEY)
    manifest = Manifest.from_json(text, whole_method=True)
    assert manifest == done.manifest == Manifest.from_json(text, whole_method=None)
    assert manifest.method == "neflag" and manifest.error == done.verification.error < 1e-5
    assert manifest.settings == {"n": 2, "radius": "auto", "max_steps": 20, "stop": "flux", "seed": 9}
    for refuse in (Explainer, verify):
        with pytest.raises(
            ArtifactError, match="not a gradient graph but the whole method 'neflag': run it directly"
        ):
            refuse(path)
    with pytest.raises(ArtifactError, match="whole method 'neflag'"):
        attribution_from_gradient(path, tmp_path / "twice.onnx")
    plain = next(e.value for e in onnx.load(graph("smooth")).metadata_props if e.key == contract.KEY)
    with pytest.raises(ArtifactError, match="is a gradient graph, not a whole method"):
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
        (
            "mfaba-sharp",
            {"steps": 3},
            "mfaba-sharp has no setting 'steps', it has accumulate, max_steps, path, rule",
        ),
        ("mfaba-sharp", {"path": "cosine"}, "path is 'cosine', which only the runtime can"),
        ("mfaba-sharp", {"accumulate": True}, "accumulate is True, which only the runtime can"),
        ("mfaba-sharp", {"max_steps": 0}, "max_steps is 0, it must be an integer from 1"),
        ("mfaba-smooth", {"step_size": -1.0}, "step_size is -1.0, it must be a finite number above zero"),
        ("neflag", {"stop": "never"}, "stop is 'never', it must be 'flux' or 'label'"),
        ("neflag", {"seed": -1}, "seed is -1"),
        ("integrated-gradients", {"rule": "up"}, "rule is 'up', it must be 'left' or 'right'"),
        ("integrated-gradients", {"baseline": "black"}, "baseline cannot be read as an array of numbers"),
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
