"""BatchNormalization: folded into the convolution before it, or a scale and a shift of its own."""

from __future__ import annotations

import gradcheck
import numpy as np
import onnx_ir as ir
import pytest

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.passes.batchnorm import fold_batchnorm
from fluxpath.export.reading import load

CONSTANTS = {
    "w": (4, 3, 3, 3),
    "b": (4,),
    "gamma": np.array([0.5, -1.5, 2.0, 0.0], np.float32),
    "beta": np.array([0.1, 0.2, -0.3, 0.4], np.float32),
    "mean": np.array([1.0, -1.0, 0.5, 0.0], np.float32),
    "var": np.array([0.25, 4.0, 1.0, 1e-6], np.float32),
}
CONV, NORM = "Conv<pads=[1, 1, 1, 1]>", "BatchNormalization<epsilon=0.001>"


def graph_of(text: str, dims: str, **constants: object) -> ir.Model:
    model = gradcheck.inferred(load.prepare(gradcheck.parse(text, dims, **constants)))
    fold_batchnorm(model)
    return model


CASES = [
    (f"c = {CONV}(x, w) y = {NORM}(c, gamma, beta, mean, var)", ["Conv"]),
    (f"c = {CONV}(x, w, b) y = {NORM}(c, gamma, beta, mean, var)", ["Conv"]),
    (f"c = {CONV}(x, w, b) n = {NORM}(c, gamma, beta, mean, var) y = Relu(n)", ["Conv", "Relu"]),
    # The convolution is read twice: folding would change the other reader.
    (
        f"c = {CONV}(x, w) n = {NORM}(c, gamma, beta, mean, var) y = Add(c, n)",
        ["Conv", "Mul", "Add", "Add"],
    ),
    # Two convolutions share their weights: each gets its own.
    (
        f"t = Tanh(x) c = {CONV}(x, w) d = {CONV}(t, w) n = {NORM}(c, gamma, beta, mean, var) y = Add(d, n)",
        ["Tanh", "Conv", "Conv", "Add"],
    ),
    # Normalised twice.
    (
        f"c = {CONV}(x, w) n = {NORM}(c, gamma, beta, mean, var) y = {NORM}(n, beta, gamma, mean, var)",
        ["Conv"],
    ),
    # Weights that are computed cannot take the scale.
    (
        f"v = Tanh(w) c = {CONV}(x, v) y = {NORM}(c, gamma, beta, mean, var)",
        ["Tanh", "Conv", "Mul", "Add"],
    ),
    (
        f"a = Tanh(b) c = {CONV}(x, w, a) y = {NORM}(c, gamma, beta, mean, var)",
        ["Tanh", "Conv", "Mul", "Add"],
    ),
    (f"c = {CONV}(x, w) r = Relu(c) y = {NORM}(r, gamma, beta, mean, var)", ["Conv", "Relu", "Mul", "Add"]),
]


@pytest.mark.parametrize(("text", "left"), CASES)
def test_after_a_convolution(text: str, left: list[str]) -> None:
    used = {k: v for k, v in CONSTANTS.items() if k != "b" or ", b)" in text or "Tanh(b)" in text}
    assert [n.op_type for n in graph_of(text, "batch,3,5,5", **used).graph] == left
    gradcheck.check(text, (2, 3, 5, 5), **used)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (3, 4, 2, 2), (2, 4, 2, 2, 2)], ids=str)
def test_standing_alone_at_every_rank(shape: tuple[int, ...]) -> None:
    used = {k: CONSTANTS[k] for k in ("gamma", "beta", "mean", "var")}
    text = f"y = {NORM}(x, gamma, beta, mean, var)"
    assert [n.op_type for n in graph_of(text, gradcheck.fixed(shape), **used).graph] == ["Mul", "Add"]
    gradcheck.check(text, shape, **used)


def test_the_default_epsilon() -> None:
    constants = {"one": np.ones(1, np.float32), "zero": np.zeros(1, np.float32)}
    text = "y = BatchNormalization(x, one, zero, zero, zero)"
    found = gradcheck.evaluate(text, np.ones((1, 1)), **constants)
    np.testing.assert_allclose(found.single, [[1e-5**-0.5]], rtol=1e-6)


def test_names_that_the_model_uses_already() -> None:
    """A node 'bn' whose parameters are called bn/weight and bn/bias, a value called bn/Mul."""
    names = {
        "w": "bn/weight",
        "b": "bn/bias",
        "gamma": "bn/scale",
        "beta": "bn/shift",
        "m": "bn/Mul",
        "a": "bn/Add",
    }
    for text in (
        f"m = Neg(x) c = {CONV}(m, w, b) y = {NORM}(c, gamma, beta, mean, var)",
        f"m = {CONV}(x, w, b) a = Relu(m) y = {NORM}(a, gamma, beta, mean, var)",
    ):
        model = gradcheck.parse(text, "batch,3,5,5", **CONSTANTS)
        model.graph.node[-1].name = "bn"
        for entry in [*model.graph.initializer, *model.graph.value_info]:
            entry.name = names.get(entry.name, entry.name)
        for node in model.graph.node:
            node.input[:] = [names.get(i, i) for i in node.input]
            node.output[:] = [names.get(o, o) for o in node.output]
        gradcheck.check_model(model, (2, 3, 5, 5))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("m = Tanh(mean) y = BatchNormalization(x, gamma, beta, m, var)", "has computed parameters"),
        ("y, a, b = BatchNormalization<training_mode=1>(x, gamma, beta, mean, var)", "is in training mode"),
    ],
)
def test_training_mode_and_computed_parameters_are_refused(text: str, why: str) -> None:
    used = {k: CONSTANTS[k] for k in ("gamma", "beta", "mean", "var")}
    with pytest.raises(UnsupportedOperatorError, match=rf"BatchNormalization .*of node .* {why}"):
        graph_of(text, "2,4,5,5", **used)
