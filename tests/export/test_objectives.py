"""Objective heads in float32 against their definitions, in a hundred digits, however sure the model is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path

import gradcheck
import numpy as np
import onnx
import onnxruntime
import pytest

from fluxpath.export import gradient_from_onnx
from fluxpath.export.objectives import OBJECTIVES

TINY = float(np.finfo(np.float32).tiny)
"""The smallest float32 that is held with all its digits."""

Row = list[Decimal]
Run = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]


def exponentials(z: Row) -> Row:
    return [(v - max(z)).exp() for v in z]


def softmax(z: Row, t: int) -> tuple[Decimal, Decimal, Row]:
    """Score, scale and seed of p_t from dp_t/dz_j = p_t (onehot_j - p_j); the scale is that for j = t."""
    e = exponentials(z)
    p = [v / sum(e) for v in e]
    derivative = [p[t] * ((j == t) - p[j]) for j in range(len(z))]
    return p[t], derivative[t], [d / derivative[t] for d in derivative]


def log_softmax(z: Row, t: int) -> tuple[Decimal, Decimal, Row]:
    """d log p_t / dz_j = onehot_j - p_j."""
    e = exponentials(z)
    p = [v / sum(e) for v in e]
    derivative = [(j == t) - p[j] for j in range(len(z))]
    return p[t].ln(), derivative[t], [d / derivative[t] for d in derivative]


def sigmoid(z: Row, t: int) -> tuple[Decimal, Decimal, Row]:
    """s = 1/(1 + exp(-z_t)), ds/dz_t = s (1 - s)."""
    s = 1 / (1 + (-z[t]).exp())
    return s, s * (1 - s), [Decimal(j == t) for j in range(len(z))]


def logit(z: Row, t: int) -> tuple[Decimal, Decimal, Row]:
    return z[t], Decimal(1), [Decimal(j == t) for j in range(len(z))]


def margin(z: Row, t: int) -> tuple[Decimal, Decimal, Row]:
    """The first of the largest others is the rival."""
    rival = max((j for j in range(len(z)) if j != t), key=lambda j: (z[j], -j))
    return z[t] - z[rival], Decimal(1), [Decimal((j == t) - (j == rival)) for j in range(len(z))]


TWINS = {"softmax": softmax, "log_softmax": log_softmax, "sigmoid": sigmoid, "logit": logit, "margin": margin}


def twin(objective: str, z: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with localcontext() as context:
        context.prec = 110
        rows = [
            TWINS[objective]([Decimal(float(v)) for v in r], int(t)) for r, t in zip(z, target, strict=True)
        ]
    score, scale, seed = zip(*rows, strict=True)
    return np.array(score, float), np.array(scale, float), np.array(seed, float)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Run]:
    """A graph whose logits are its input, so that its gradient is the seed."""
    folder: Path = tmp_path_factory.mktemp("heads")
    sessions: dict[tuple[str, int], Run] = {}

    def head(objective: str, classes: int) -> Run:
        if (objective, classes) not in sessions:
            source, path = folder / "model.onnx", folder / f"{objective}{classes}.onnx"
            onnx.save(gradcheck.parse("y = Add(x, zero)", f"batch,{classes}", zero=0.0), source)
            gradient_from_onnx(source, path, objective=objective, input_range=None)
            options = onnxruntime.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 3, 1
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            names = ["score", "scale", "gradient", "label"]
            sessions[objective, classes] = lambda z, t: dict(
                zip(names, session.run(names, {"x": z, "target": t}), strict=True)
            )
        return sessions[objective, classes]

    return head


def sure(margins: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose target is above the logsumexp of the others by the given margins."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(len(margins), classes))
    target = np.arange(len(margins)) % classes
    z[np.arange(len(margins)), target] = -np.inf
    z[np.arange(len(margins)), target] = np.log(np.exp(z).sum(axis=1)) + margins
    return z.astype(np.float32), target.astype(np.int64)


def assert_exact(objective: str, out: dict[str, np.ndarray], z: np.ndarray, target: np.ndarray) -> None:
    score, scale, seed = twin(objective, z, target)
    assert all(out[k].dtype == np.float32 for k in ("score", "scale", "gradient"))
    held = scale >= TINY
    np.testing.assert_allclose(out["scale"][held], scale[held], rtol=1e-5)
    np.testing.assert_array_less(out["scale"][~held], 2 * TINY)
    assert np.isfinite(out["gradient"]).all()
    error = np.linalg.norm(out["gradient"] - seed, axis=1) / np.linalg.norm(seed, axis=1)
    assert error.max() <= 1e-6
    np.testing.assert_allclose(out["score"], score, rtol=1e-5, atol=TINY)


@pytest.mark.parametrize("classes", [2, 5, 30])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_margins_from_minus_to_plus_two_hundred(
    heads: Callable[[str, int], Run], objective: str, classes: int
) -> None:
    z, target = sure(np.linspace(-200, 200, 101), classes)
    assert_exact(objective, heads(objective, classes)(z, target), z, target)


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "sigmoid"])
def test_small_margins(heads: Callable[[str, int], Run], objective: str) -> None:
    """About zero, where the two forms of each formula meet, and where the logarithm's series ends."""
    margins = np.concatenate([np.linspace(-2, 2, 81), [1e-6, -1e-6, 1e-30], -np.log([0.2499, 0.25, 0.2501])])
    z, target = sure(margins, 3)
    assert_exact(objective, heads(objective, 3)(z, target), z, target)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_ties(heads: Callable[[str, int], Run], objective: str) -> None:
    """The first class of a tie is the label, and the first rival of a tie the margin's."""
    z = np.array([[0, 0, 0, 0], [1, 2, 2, 0], [3, 3, 1, 3], [-5, 7, 7, 7]], np.float32)
    for t in range(4):
        target = np.full(4, t, np.int64)
        out = heads(objective, 4)(z, target)
        assert_exact(objective, out, z, target)
        np.testing.assert_array_equal(out["label"], [0, 1, 0, 1])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_negative_target_is_the_predicted_class(heads: Callable[[str, int], Run], objective: str) -> None:
    z, _ = sure(np.linspace(-5, 5, 12), 4)
    label = z.argmax(axis=1)
    asked = heads(objective, 4)(z, np.full(12, -1, np.int64))
    named = heads(objective, 4)(z, label)
    np.testing.assert_array_equal(asked["label"], label)
    for name, value in asked.items():
        np.testing.assert_array_equal(value, named[name])
    mixed = heads(objective, 4)(z, np.where(np.arange(12) % 2, label, -3))
    np.testing.assert_array_equal(mixed["gradient"], named["gradient"])


def test_the_plain_derivative_would_fail_these_tests(heads: Callable[[str, int], Run]) -> None:
    """p (1 - p) in float32: a percent off at a margin of 12, everything at 30, where ours is exact."""
    z, target = sure(np.array([12.0, 30.0]), 3)
    exact = twin("softmax", z, target)[1]
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    p = (powers / powers.sum(axis=1, keepdims=True))[np.arange(2), target]
    assert p.dtype == np.float32
    error = np.abs(p * (1 - p) - exact) / exact
    assert error[0] > 1e-3 and error[1] == 1
    ours = heads("softmax", 3)(z, target)["scale"]
    assert (np.abs(ours - exact) / exact).max() <= 1e-5


@pytest.mark.parametrize(
    ("objective", "name"),
    [("softmax", "softmax"), ("log_softmax", "log_softmax"), ("sigmoid", "softmax"), ("margin", "margin")],
)
def test_one_logit_stands_for_two_classes(
    heads: Callable[[str, int], Run], objective: str, name: str
) -> None:
    """z against the zero of the other class; the gradient is along z alone."""
    z = np.linspace(-100, 100, 41, dtype=np.float32)[:, None]
    both = np.concatenate([np.zeros_like(z), z], axis=1)
    for t in (0, 1):
        target = np.full(len(z), t, np.int64)
        out = heads(objective, 1)(z, target)
        score, scale, seed = twin(name, both, target)
        np.testing.assert_allclose(out["score"], score, rtol=1e-5, atol=TINY)
        held = scale >= TINY
        np.testing.assert_allclose(out["scale"][held], scale[held], rtol=1e-5)
        np.testing.assert_allclose(out["gradient"][:, 0], seed[:, 1], rtol=1e-6)
        np.testing.assert_array_equal(out["label"], (z[:, 0] > 0).astype(np.int64))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_float64_side_of_verification(objective: str) -> None:
    """`margin`, `value` and `factor` against the same definitions; the seed is the margin's slope."""
    z, target = sure(np.linspace(-40, 40, 41), 4)
    z = z.astype(np.float64)
    score, scale, seed = twin(objective, z, target)
    ours = OBJECTIVES[objective]
    d = ours.margin(z, target)
    np.testing.assert_allclose(ours.value(d), score, rtol=1e-12)
    np.testing.assert_allclose(ours.factor(d), scale, rtol=1e-12)
    for j in range(4):
        step = 1e-6 * np.eye(4)[j]
        slope = (ours.margin(z + step, target) - ours.margin(z - step, target)) / 2e-6
        np.testing.assert_allclose(slope, seed[:, j], atol=1e-7)
