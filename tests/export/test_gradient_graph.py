"""The gradient graph as its contract has it: ends, values, manifest, and what is left on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError, UnsupportedOperatorError, VerificationError
from fluxpath.export import gradient_from_onnx
from fluxpath.export.rules import _registry
from fluxpath.manifest import KEY, Manifest
from fluxpath.seal import unseal

OBJECTIVES = ["softmax", "log_softmax", "logit", "margin", "sigmoid"]


def ends(values: object) -> list[tuple[str, int, list[str | int]]]:
    return [
        (
            v.name,
            v.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim],
        )
        for v in values
    ]


def score_of(objective: str, z: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The objectives' definitions, in float64."""
    rows = np.arange(len(z))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    others = np.where(np.arange(z.shape[1]) == t[:, None], -np.inf, z)
    return {
        "softmax": lambda: p[rows, t],
        "log_softmax": lambda: np.log(p[rows, t]),
        "logit": lambda: z[rows, t],
        "margin": lambda: z[rows, t] - others.max(axis=1),
        "sigmoid": lambda: 1 / (1 + np.exp(-z[rows, t])),
    }[objective]()


def test_inputs_and_outputs(tmp_path: Path) -> None:
    path = small.export(small.cnn(), tmp_path).path
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    f, i = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    assert ends(proto.graph.input) == [("x", f, ["batch", 3, 4, 4]), ("target", i, ["batch"])]
    assert ends(proto.graph.output) == [
        ("y", f, ["batch", 5]),
        ("score", f, ["batch"]),
        ("label", i, ["batch"]),
        ("gradient", f, ["batch", 3, 4, 4]),
        ("scale", f, ["batch"]),
    ]
    assert {n.domain for n in proto.graph.node} == {""} == {o.domain for o in proto.opset_import}
    assert "BatchNormalization" not in {n.op_type for n in proto.graph.node}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scale_times_gradient_is_the_derivative_of_the_score(tmp_path: Path, objective: str) -> None:
    model = small.cnn()
    exported = small.export(model, tmp_path, objective=objective)
    x = small.images(4)
    target = np.array([4, 0, 2, -1])
    out = small.run(exported.path, x, target)
    logits = small.run(model, x)["y"]
    np.testing.assert_array_equal(out["label"], logits.argmax(axis=1))
    np.testing.assert_allclose(out["y"], logits, atol=1e-6)
    target = np.where(target < 0, out["label"], target)
    np.testing.assert_allclose(out["score"], score_of(objective, logits.astype(float), target), rtol=1e-5)
    for seed in range(3):
        v = np.random.default_rng(seed).standard_normal(x.shape)
        true = small.slope(model, lambda z: score_of(objective, z, target), x, v)
        given = out["scale"] * (out["gradient"] * v).sum(axis=(1, 2, 3))
        norm = out["scale"] * np.linalg.norm(out["gradient"].reshape(4, -1), axis=1)
        assert (np.abs(given - true) / norm).max() < 1e-5


def test_an_image_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    path = small.export(small.cnn(), tmp_path).path
    x, target = small.images(5), np.array([0, 1, 2, 3, -1])
    together = small.run(path, x, target)
    for k in range(5):
        alone = small.run(path, x[k : k + 1], target[k : k + 1])
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][k], rtol=1e-5, atol=1e-7)


def test_manifest(tmp_path: Path) -> None:
    stages: list[str] = []
    names = ["ant", "bee", "cat", "dog", "élan"]
    exported = small.export(
        small.cnn(dims="batch,3,h,w", opset=21),
        tmp_path,
        objective="margin",
        input_range=(-1, 2),
        class_names=names,
        progress=stages.append,
    )
    data = exported.path.read_bytes()
    unseal(data)
    (entry,) = onnx.load_model_from_string(data).metadata_props
    assert entry.key == KEY
    found = Manifest.from_json(entry.value)
    assert found == exported.manifest
    assert (found.input, found.shape, found.classes) == ("x", (3, None, None), 5)
    assert (found.objective, found.opset, found.logits) == ("margin", 21, "y")
    assert (found.low, found.high, found.mean, found.std) == (-1, 2, None, None)
    assert (found.class_names, found.precision, found.factored) == (tuple(names), "float32", True)
    source = (tmp_path / "model.onnx").read_bytes()
    assert found.source == "sha256:" + hashlib.sha256(source).hexdigest()
    assert found.error == exported.verification.error
    assert 0 < exported.verification.typical <= found.error < 1e-4
    assert exported.verification.score < 1e-5
    assert len(stages) >= 3


def test_without_an_input_range(tmp_path: Path) -> None:
    manifest = small.export(small.cnn(), tmp_path, input_range=None).manifest
    assert (manifest.low, manifest.high) == (None, None)


def test_own_outputs_are_kept(tmp_path: Path) -> None:
    """Also one that is not on the way to the logits, one that is, and one that is an input's copy."""
    model = small.cnn("y = Neg(z) side = ReduceMax(x) same = Identity(x)", outputs="y, side, r, z, same")
    path = small.export(model, tmp_path, output="z").path
    x = small.images(2)
    own, out = small.run(model, x), small.run(path, x, 1)
    assert list(out) == [*own, "score", "label", "gradient", "scale"]
    for name, value in own.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(out["label"], own["z"].argmax(axis=1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_unfactored_is_the_product(tmp_path: Path, objective: str) -> None:
    x = small.images(3)
    factored = small.run(small.export(small.cnn(), tmp_path, objective=objective).path, x, 2)
    exported = small.export(small.cnn(), tmp_path, objective=objective, factored=False)
    whole = small.run(exported.path, x, 2)
    assert not exported.manifest.factored
    np.testing.assert_array_equal(whole["scale"], np.ones(3, np.float32))
    product = factored["scale"][:, None, None, None] * factored["gradient"]
    np.testing.assert_allclose(whole["gradient"], product, rtol=1e-6)
    np.testing.assert_array_equal(whole["score"], factored["score"])


def test_nothing_of_the_source_but_the_graph_is_left_in_the_file(tmp_path: Path) -> None:
    model, secret = small.cnn(), "/home/somebody/secret"
    model.doc_string = model.graph.doc_string = model.producer_name = secret
    model.producer_version = model.domain = secret
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        item.doc_string = secret
    for item in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        entry = item.metadata_props.add()
        entry.key, entry.value = "trace", secret
    exported = small.export(model, tmp_path)
    assert secret.encode() in (tmp_path / "model.onnx").read_bytes()
    assert secret.encode() not in exported.path.read_bytes()
    proto = onnx.load(exported.path)
    assert [e.key for e in proto.metadata_props] == [KEY]
    assert proto.producer_name == "fluxpath"


def wrong_relu(op: object, node: object, g: object) -> object:
    return g


def test_a_wrong_gradient_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry._RULES, "Relu", [_registry.Rule("Relu", 1, wrong_relu, False, False)])
    with pytest.raises(VerificationError, match=r"the gradient is off by .* at the median"):
        small.export(small.cnn(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_a_failed_export_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small.export(small.cnn(), tmp_path).path
    before = path.read_bytes()
    monkeypatch.setitem(_registry._RULES, "Relu", [_registry.Rule("Relu", 1, wrong_relu, False, False)])
    with pytest.raises(VerificationError):
        small.export(small.cnn(), tmp_path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_an_operator_without_a_rule_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_registry._RULES, "Conv")
    with pytest.raises(UnsupportedOperatorError, match=r"operator Conv \(opset 20\) of node '.+' has no"):
        small.export(small.cnn(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, file, folder = tmp_path / "m.onnx", tmp_path / "file", tmp_path / "folder"
    onnx.save(small.cnn(), model)
    file.write_bytes(b"")
    (folder / "x.grad.onnx").mkdir(parents=True)
    for path in (tmp_path / "none" / "x.grad.onnx", file / "x.grad.onnx", folder / "x.grad.onnx"):
        with pytest.raises(ModelError, match="cannot write"):
            gradient_from_onnx(model, path)
    # A disk that fills up while the file is written.
    monkeypatch.setattr(
        "os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(ModelError, match=r"cannot write .*: No space left on device"):
        gradient_from_onnx(model, tmp_path / "x.grad.onnx")
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")}
    assert left == {"m.onnx", "file", "folder", "folder/x.grad.onnx"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "entropy"}, "there is no objective 'entropy', there are .*softmax"),
        ({"input_range": (1, 0)}, r"input_range is \(1, 0\)"),
        ({"input_range": (0, float("nan"))}, "input_range is"),
        ({"input_range": (0, 0)}, "input_range is"),
        ({"mean": [0.5] * 3}, "mean and std go together"),
        ({"std": [0.5] * 3}, "mean and std go together"),
        ({"mean": [0.5] * 2, "std": [0.5] * 2}, "mean and std have 2 and 2 entries"),
        ({"mean": [0.5] * 3, "std": [0.5] * 2}, "mean and std have 3 and 2 entries"),
        ({"mean": [0.5] * 3, "std": [0.5, 0, 1]}, "std above zero"),
        ({"mean": [0.5, np.nan, 1], "std": [1, 1, 1]}, "must be finite"),
        ({"class_names": ["a", "b"]}, "2 class names were given, and the model has 5 classes"),
        ({"input": "pixels"}, r"no input 'pixels', it has \['x'\]"),
        ({"output": "probs"}, r"no output 'probs', it has \['y'\]"),
        ({"precision": "int3"}, "there is no precision 'int3'"),
    ],
    ids=str,
)
def test_settings_that_are_not_possible(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        small.export(small.cnn(), tmp_path, **settings)
    assert not (tmp_path / "model.grad.onnx").exists()


def test_image_sizes_may_be_dynamic(tmp_path: Path) -> None:
    """Strides, pads and averages included: one file gives what files of fixed sizes give."""
    text = (
        "c = Conv<strides=[2, 2], pads=[1, 1, 1, 1]>(x, w, b) r = Relu(c) "
        "a = AveragePool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(r) "
        "p = GlobalAveragePool(a) f = Flatten(p) y = Gemm(f, v)"
    )
    exported = small.export(gradcheck.parse(text, "batch,3,height,width", **small.WEIGHTS), tmp_path)
    assert exported.verification.error < 1e-5
    assert exported.manifest.shape == (3, None, None)
    for height, width in ((8, 8), (9, 12), (15, 10)):
        folder = tmp_path / f"{height}x{width}"
        folder.mkdir()
        fixed = small.export(gradcheck.parse(text, f"batch,3,{height},{width}", **small.WEIGHTS), folder)
        x = small.images(3, 3, height, width)
        one, other = small.run(exported.path, x, 1), small.run(fixed.path, x, 1)
        assert one["gradient"].shape == x.shape
        np.testing.assert_allclose(one["gradient"], other["gradient"], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(one["scale"], other["scale"], rtol=1e-5)
