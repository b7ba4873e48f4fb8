"""Unrolled LSTM, GRU and RNN: against ONNX Runtime's own kernels forward, central differences backward."""

from __future__ import annotations

import itertools
from typing import Any

import gradcheck
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.reading import load

LENGTH, BATCH, FEATURES, HIDDEN = 4, 2, 3, 2
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
OPERANDS = ("w", "r", "b", "", "h", "c", "p")


def weights(kind: str, count: int, present: str = "wrbhcp") -> dict[str, tuple[int, ...]]:
    gates = GATES[kind] * HIDDEN
    shapes = {
        "w": (count, gates, FEATURES),
        "r": (count, gates, HIDDEN),
        "b": (count, 2 * gates),
        "h": (count, BATCH, HIDDEN),
    }
    if kind == "LSTM":
        shapes |= {"c": (count, BATCH, HIDDEN), "p": (count, 3 * HIDDEN)}
    return {name: shape for name, shape in shapes.items() if name in present}


def text(kind: str, attributes: str, constants: dict[str, Any], output: str = "y") -> str:
    names = ["", *OPERANDS[: 7 if kind == "LSTM" else 5]]
    operands = ", ".join(name if name in constants else "" for name in names[1:])
    results = {"y": "y", "h": "unused, y", "c": "unused, unused_too, y"}[output]
    return f"{results} = {kind}<hidden_size={HIDDEN}{attributes}>(x, {operands})"


def unrolled(forward: onnx.ModelProto) -> onnx.ModelProto:
    return ir.to_proto(gradcheck.inferred(load.prepare(forward)))


def check(text: str, dims: str = f"{LENGTH},batch,{FEATURES}", opset: int = 20, **constants: Any) -> None:
    """The unrolled model says what ONNX Runtime says, and has the right gradient."""
    forward = gradcheck.parse(text, dims, opset, **constants)
    plain = unrolled(forward)
    assert not {node.op_type for node in plain.graph.node} & set(GATES)
    shape = (LENGTH, BATCH, FEATURES)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    expected, found = (gradcheck.in_single(m)({"x": x})[0] for m in (forward, plain))
    np.testing.assert_allclose(found, expected, 1e-4, 1e-6)
    gradcheck.check_model(plain, shape)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("kind", "output", "present"),
    [
        (kind, output, present)
        for kind, outputs in {"LSTM": "yhc", "GRU": "yh", "RNN": "yh"}.items()
        for output in outputs
        for present in ("wr", "wrb", "wrbhc", "wrbhcp")[: 4 if kind == "LSTM" else 3]
    ],
)
def test_every_direction_and_output(kind: str, output: str, direction: str, present: str) -> None:
    constants = weights(kind, DIRECTIONS[direction], present)
    check(text(kind, f', direction="{direction}"', constants, output), **constants)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("present", ["wr", "wrb", "wrbh"])
def test_gru_with_linear_before_reset(direction: str, present: str) -> None:
    constants = weights("GRU", DIRECTIONS[direction], present)
    check(text("GRU", f', direction="{direction}", linear_before_reset=1', constants), **constants)


def test_all_outputs_at_once() -> None:
    constants = weights("LSTM", 1)
    nodes = text("LSTM", "", constants).replace("y =", "s, h_last, c_last =")
    check(f"{nodes} q = Squeeze(s, one) t = Add(q, h_last) y = Mul(t, c_last)", one=[1], **constants)


def test_coupled_gates() -> None:
    constants = weights("LSTM", 1)
    check(text("LSTM", ", input_forget=1", constants), **constants)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("RNN", 'activations=["Relu"]'),
        ("RNN", 'activations=["Affine"], activation_alpha=[0.7], activation_beta=[0.1]'),
        ("RNN", 'activations=["LeakyRelu"]'),
        ("RNN", 'activations=["LeakyRelu"], activation_alpha=[0.3]'),
        ("RNN", 'activations=["ThresholdedRelu"], activation_alpha=[0.4]'),
        ("RNN", 'activations=["ScaledTanh"], activation_alpha=[0.7], activation_beta=[1.3]'),
        ("RNN", 'activations=["HardSigmoid"], activation_alpha=[0.3], activation_beta=[0.4]'),
        ("RNN", 'activations=["Elu"], activation_alpha=[0.8]'),
        ("RNN", 'activations=["Softsign"]'),
        ("RNN", 'activations=["Softplus"]'),
        ("GRU", 'activations=["HardSigmoid", "Softsign"], activation_alpha=[0.3], activation_beta=[0.4]'),
        (
            "LSTM",
            'activations=["sigmoid", "ScaledTanh", "Elu"], activation_alpha=[0.9, 2.0], '
            "activation_beta=[1.1]",
        ),
    ],
)
def test_other_activations(kind: str, attributes: str) -> None:
    constants = weights(kind, 1)
    check(text(kind, f", {attributes}", constants), **constants)


def test_activations_of_two_directions() -> None:
    constants = weights("RNN", 2)
    attributes = ', direction="bidirectional", activations=["LeakyRelu", "Elu"], activation_alpha=[0.3, 0.6]'
    check(text("RNN", attributes, constants), **constants)


@pytest.mark.parametrize(("kind", "direction"), list(itertools.product(GATES, DIRECTIONS)))
@pytest.mark.parametrize("output", ["y", "h"])
def test_batch_first(kind: str, direction: str, output: str) -> None:
    """ONNX Runtime has no layout 1; it is layout 0 with other axes."""
    attributes = f', direction="{direction}"'
    constants = weights(kind, DIRECTIONS[direction])
    rng = np.random.default_rng(1)
    constants = {n: rng.standard_normal(s).astype(np.float32) for n, s in constants.items()}
    first = {n: a.swapaxes(0, 1) if n in "hc" else a for n, a in constants.items()}
    dims = f"{LENGTH},batch,{FEATURES}"
    usual = gradcheck.parse(text(kind, attributes, constants, output), dims, **constants)
    other = gradcheck.parse(
        text(kind, f"{attributes}, layout=1", first, output), f"batch,{LENGTH},{FEATURES}", **first
    )
    x = rng.standard_normal((LENGTH, BATCH, FEATURES)).astype(np.float32)
    expected = gradcheck.in_single(usual)({"x": x})[0]
    expected = expected.transpose(2, 0, 1, 3) if output == "y" else expected.swapaxes(0, 1)
    plain = unrolled(other)
    found = gradcheck.in_single(plain)({"x": x.swapaxes(0, 1)})[0]
    np.testing.assert_allclose(found, expected, 1e-4, 1e-6)
    gradcheck.check_model(plain, (BATCH, LENGTH, FEATURES))


def test_one_step() -> None:
    constants = weights("LSTM", 1, "wrb")
    forward = gradcheck.parse(text("LSTM", "", constants), f"1,batch,{FEATURES}", **constants)
    gradcheck.check_model(unrolled(forward), (1, BATCH, FEATURES))


def test_computed_weights_and_states() -> None:
    constants = weights("LSTM", 1, "wrb")
    nodes = (
        "m = ReduceMean<keepdims=1>(x, axes) s = Slice(m, zero, two, last) h = Tanh(s) c = Sin(s) w = Neg(v)"
    )
    constants |= {"v": constants.pop("w"), "axes": [0], "zero": [0], "two": [2], "last": [2]}
    check(f"{nodes} y = LSTM<hidden_size=2>(x, w, r, b, , h, c)", **constants)


def test_full_sequence_lengths() -> None:
    constants = weights("GRU", 1, "wr")
    lengths = np.full(BATCH, LENGTH, np.int32)
    check("y = GRU<hidden_size=2>(x, w, r, , l)", l=lengths, **constants)


@pytest.mark.parametrize(
    ("dims", "attributes", "operands", "message"),
    [
        ("length,2,3", "", "x, w, r", "fixed sequence length"),
        ("4,2,3", ", clip=1.0", "x, w, r", "clip"),
        ("4,2,3", "", "x, w, r, , l", "sequence_lens"),
        ("4,2,3", ', activations=["Cos"]', "x, w, r", "Cos"),
    ],
)
def test_what_cannot_be_unrolled_is_refused(dims: str, attributes: str, operands: str, message: str) -> None:
    constants: dict[str, Any] = weights("RNN", 1, "wr") | {"l": np.array([4, 2], np.int32)}
    forward = gradcheck.parse(f"y = RNN<hidden_size=2{attributes}>({operands})", dims, **constants)
    with pytest.raises(UnsupportedOperatorError, match=message):
        gradcheck.differentiated(forward)
