"""Operators of ai.onnx.ml, as converters of scikit-learn write them, against their formulas in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError, UnsupportedOperatorError

helper = onnx.helper

ROWS = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
BIAS = np.array([0.3, -0.2, 0.1], np.float32)

SHAPES = {"label": ["batch"]}

Function = Callable[[np.ndarray], np.ndarray]


def node(kind: str, reads: str, gives: str, **attributes: Any) -> onnx.NodeProto:
    names = gives.split()
    return helper.make_node(kind, reads.split(), names, domain="ai.onnx.ml", **attributes)


def model(*nodes: onnx.NodeProto, outputs: str = "p", **types: Any) -> onnx.ModelProto:
    ends = [
        helper.make_tensor_value_info(n, types.get(n, onnx.TensorProto.FLOAT), SHAPES.get(n, ["batch", None]))
        for n in outputs.split()
    ]
    entry = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "g", [entry], ends)
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=9)


def linear(transform: str, rows: np.ndarray = ROWS, bias: np.ndarray = BIAS, **labels: Any) -> onnx.NodeProto:
    labels = labels or {"classlabels_ints": list(range(max(len(rows), 2)))}
    return node(
        "LinearClassifier", "h", "label s", coefficients=rows.reshape(-1), intercepts=bias,
        post_transform=transform, **labels,
    )  # fmt: skip


def scores(x: np.ndarray) -> np.ndarray:
    return x @ ROWS.astype(float).T + BIAS


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def two_classes(x: np.ndarray) -> np.ndarray:
    p = sigmoid(x @ ROWS[0].astype(float) + BIAS[0])
    return np.stack([1 - p, p], 1)


def shares(x: np.ndarray) -> np.ndarray:
    p = sigmoid(scores(x))
    return p / p.sum(1, keepdims=True)


def check(file: onnx.ModelProto, true: Function, folder: Path, objective: str = "softmax") -> onnx.ModelProto:
    """The exported score is `true` of the target and its derivative right, by standard operators alone."""
    done = small.export(file, folder, input_range=None, objective=objective)
    x = small.images(5, 4) - np.float32(0.4)
    target = np.arange(5) % done.manifest.classes
    out = small.run(done.path, x, target)
    rows = np.arange(5)
    np.testing.assert_allclose(out["score"], true(x.astype(float))[rows, target], rtol=1e-5)
    found = out["scale"][:, None] * out["gradient"]
    for j in range(4):
        step = 1e-6 * np.eye(4)[j]
        ahead, behind = (true(x + sign * step)[rows, target] for sign in (1, -1))
        np.testing.assert_allclose(found[:, j], (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-6)
    written = onnx.load(done.path)
    assert {n.domain for n in written.graph.node} == {o.domain for o in written.opset_import} == {""}
    return written


@pytest.mark.parametrize(
    ("transform", "true"), [("SOFTMAX", softmax), ("SOFTMAX_ZERO", softmax), ("LOGISTIC", None)]
)
def test_a_linear_classifier(transform: str, true: Function | None, tmp_path: Path) -> None:
    ends = [
        node("Scaler", "x", "h", offset=[0.1, 0.2, 0.3, 0.4], scale=[1.0, 2.0, 0.5, 1.5]),
        linear(transform),
        node("Normalizer", "s", "p", norm="L1"),
    ]

    def scaled(x: np.ndarray) -> np.ndarray:
        h = (x - [0.1, 0.2, 0.3, 0.4]) * [1.0, 2.0, 0.5, 1.5]
        return shares(h) if true is None else true(scores(h))

    check(model(*ends), scaled, tmp_path)


@pytest.mark.parametrize("rows", [1, 2])
def test_two_classes_of_one_logit(rows: int, tmp_path: Path) -> None:
    """scikit-learn's binary classifiers: one row of coefficients, or it and its opposite."""
    signs = np.array([[-1.0], [1.0]], np.float32)[2 - rows :]
    closing = linear("LOGISTIC", signs * ROWS[:1], signs[:, 0] * BIAS[0])
    check(model(renamed(closing, h="x", s="p")), two_classes, tmp_path)


def renamed(one: onnx.NodeProto, **names: str) -> onnx.NodeProto:
    one.input[:] = [names.get(n, n) for n in one.input]
    one.output[:] = [names.get(n, n) for n in one.output]
    return one


@pytest.mark.parametrize(
    ("norm", "length"),
    [
        ("L1", lambda x: np.abs(x).sum(1, keepdims=True)),
        ("L2", lambda x: np.sqrt((x * x).sum(1, keepdims=True))),
        ("MAX", lambda x: x.max(1, keepdims=True)),
    ],
)
def test_normalised_inputs(norm: str, length: Function, tmp_path: Path) -> None:
    ends = [node("Normalizer", "x", "h", norm=norm), renamed(linear("SOFTMAX"), s="p")]
    check(model(*ends), lambda x: softmax(scores(x / length(x))), tmp_path)


def test_a_normalised_row_of_zeros_stays_zero(tmp_path: Path) -> None:
    ends = [node("Normalizer", "x", "h", norm="L2"), renamed(linear("SOFTMAX"), s="p")]
    done = small.export(model(*ends), tmp_path)
    out = small.run(done.path, np.zeros((1, 4), np.float32), 1)
    np.testing.assert_allclose(out["p"], softmax(BIAS[None].astype(float)), rtol=1e-6)
    assert np.isfinite(out["gradient"]).all()


def test_missing_values_and_columns(tmp_path: Path) -> None:
    """What is replaced has no derivative, and columns may be taken in any order, more than once."""
    places = onnx.numpy_helper.from_array(np.array([2, 0, 0, 3]), "places")
    ends = [
        node("Imputer", "x", "full", imputed_value_floats=[0.5], replaced_value_float=float("nan")),
        node("ArrayFeatureExtractor", "full places", "h"),
        renamed(linear("SOFTMAX"), s="p"),
    ]
    file = model(*ends)
    file.graph.initializer.append(places)
    check(file, lambda x: softmax(scores(x[:, [2, 0, 0, 3]])), tmp_path)
    x = small.images(1, 4)
    x[0, 2] = np.nan
    out = small.run(tmp_path / "model.grad.onnx", x, 1)
    assert out["gradient"][0, 2] == 0 and np.isfinite(out["gradient"]).all()


@pytest.mark.parametrize("targets", [1, 3])
def test_a_regressor(targets: int, tmp_path: Path) -> None:
    end = node(
        "LinearRegressor", "x", "p", coefficients=ROWS[:targets].reshape(-1), intercepts=BIAS[:targets],
        targets=targets,
    )  # fmt: skip
    check(model(end), lambda x: scores(x)[:, :targets], tmp_path, objective="logit")


def test_raw_scores_and_their_labels(tmp_path: Path) -> None:
    ends = renamed(linear("NONE", classlabels_ints=[3, 5, 7]), h="x", s="p")
    file = model(ends, outputs="label p", label=onnx.TensorProto.INT64)
    written = check(file, lambda x: softmax(scores(x)), tmp_path)
    assert [v.name for v in written.graph.output][:2] == ["model/label", "p"]
    x = small.images(5, 4)
    out = small.run(tmp_path / "model.grad.onnx", x, -1)
    assert (out["model/label"] == np.array([3, 5, 7])[scores(x).argmax(1)]).all()


@pytest.mark.parametrize(
    ("closing", "match"),
    [
        (linear("PROBIT"), "has the post_transform PROBIT"),
        (linear("NONE", ROWS[:1], BIAS[:1]), "one row of coefficients for two classes and .* NONE"),
        (linear("NONE", ROWS[:, :3], BIAS[:2]), "has 9 coefficients and 2 intercepts"),
        (node("TreeEnsembleClassifier", "h", "label s"), "TreeEnsembleClassifier"),
    ],
)
def test_what_has_no_form_in_the_standard(closing: onnx.NodeProto, match: str, tmp_path: Path) -> None:
    file = model(renamed(closing, h="x", s="p"))
    with pytest.raises((UnsupportedOperatorError, ModelError), match=match):
        small.export(file, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
