"""Probabilities that no closing Softmax made: their logarithms are logits."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError

TWO = "z = MatMul(x, v) w = MatMul(x, u) "
WEIGHTS = {"v": (6, 3), "u": (6, 3), "one": 1.0, "two": 2.0, "half": 0.5, "third": 1 / 3, "axis": [1]}
NORMALISED = {
    "sigmoids by their sum": "s = Sigmoid(z) t = ReduceSum(s, axis) y = Div(s, t)",
    "by LpNormalization": "s = Sigmoid(z) y = LpNormalization<axis=1, p=1>(s)",
    "a written out softmax": "s = Exp(z) t = ReduceSum(s, axis) y = Div(s, t)",
    "guarded": "s = Softplus(z) t = ReduceL1(s, axis) e = Equal(t, zero) d = Where(e, one, t) y = Div(s, d)",
    "the power of a LogSoftmax": "l = LogSoftmax(z) y = Exp(l)",
    "minus the logarithm of all": "l = ReduceLogSumExp(z, axis) d = Sub(z, l) y = Exp(d)",
    "a mean of two": "a = Softmax(z) b = Softmax(w) s = Add(a, b) y = Div(s, two)",
    "a weighted mean": "a = Softmax(z) b = Softmax(w) c = Mul(a, third) d = Mul(b, rest) y = Add(c, d)",
    "Mean": "a = Softmax(z) b = Softmax(w) y = Mean(a, b)",
    "written out sigmoids": (
        "n = Neg(z) e = Exp(n) f = Add(e, one) s = Reciprocal(f) t = ReduceSum(s, axis) y = Div(s, t)"
    ),
}


def model(text: str) -> onnx.ModelProto:
    weights = {k: v for k, v in {**WEIGHTS, "zero": 0.0, "rest": 2 / 3}.items() if k in text}
    return gradcheck.parse(text, "batch,6", **weights)


@pytest.mark.parametrize("kind", NORMALISED)
def test_the_score_is_the_probability(kind: str, tmp_path: Path) -> None:
    file = model(TWO + NORMALISED[kind])
    done = small.export(file, tmp_path)
    x, target = small.images(4, 6), np.arange(4) % 3
    out = small.run(done.path, x, target)
    np.testing.assert_allclose(out["score"], out["y"][np.arange(4), target], rtol=1e-5)
    v = np.random.default_rng(0).standard_normal(x.shape)
    true = small.slope(file, lambda p: p[np.arange(4), target], x.astype(float), v)
    np.testing.assert_allclose((out["scale"][:, None] * out["gradient"] * v).sum(1), true, rtol=1e-4)


@pytest.mark.parametrize("sure", [1.0, 12.0])
def test_two_classes_of_a_sigmoid_keep_their_digits(sure: float, tmp_path: Path) -> None:
    """1 - p and p, where p is so near one that float32 has 1 - p as zero."""
    text = "z = MatMul(x, v) s = Sigmoid(z) r = Sub(one, s) y = Concat<axis=1>(r, s)"
    weight = np.full((6, 1), sure, np.float32)
    done = small.export(gradcheck.parse(text, "batch,6", v=weight, one=1.0), tmp_path)
    x = small.images(3, 6)
    out = small.run(done.path, x, 1)
    z = (x.astype(float) @ weight)[:, 0]
    true = np.exp(-z) / (1 + np.exp(-z)) ** 2 * sure
    np.testing.assert_allclose(out["scale"] * out["gradient"][:, 0], true, rtol=1e-3)


def test_what_only_looks_like_probabilities_stays_a_score(tmp_path: Path) -> None:
    """Divided by the sum of something else."""
    text = TWO + "s = Exp(z) e = Exp(w) t = ReduceSum(e, axis) y = Div(s, t)"
    done = small.export(model(text), tmp_path)
    assert done.manifest.logits == "y"


def test_probabilities_that_the_graph_does_not_show_are_refused(tmp_path: Path) -> None:
    text = (
        TWO
        + "s = Softmax(z) q = Mul(s, s) t = ReduceSum(q, axis) d = Log(t) l = Log(q) e = Sub(l, d) y = Exp(e)"
    )
    with pytest.raises(ModelError, match="holds probabilities"):
        small.export(model(text), tmp_path)
