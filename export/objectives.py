"""What is explained: the objective, its exact derivative by the logits, and its float64 twin.

An objective's derivative is given in two factors, d score / d logits = scale * seed, with a seed of the
order of one. Only the seed travels backward through the network, so a prediction of which the model is
sure keeps its direction, in float32 as in half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import Builder

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """The values of an objective: `score` and `scale` float32 [batch], `seed` float32 [batch, classes]."""

    score: ir.Value
    seed: ir.Value
    scale: ir.Value


@dataclass(frozen=True)
class Objective:
    """One thing to explain.

    `build` writes the head from logits [batch, classes] and a boolean one-hot target of that shape.
    `margin`, `value` and `factor` are its float64 twin: score = value(margin(logits, target)), and factor is
    the derivative of value; split so that a difference of the margin stays exact where the score saturates.
    """

    build: Callable[[Builder, ir.Value, ir.Value], Head]
    margin: Callable[[Float64, npt.NDArray[np.int64]], Float64]
    value: Callable[[Float64], Float64]
    factor: Callable[[Float64], Float64]


def _over_classes(op: Builder, op_type: str, value: ir.Value) -> ir.Value:
    """A reduction over the last axis, [batch]."""
    return op(op_type, value, op.ints([-1]), keepdims=0)


def _pick(op: Builder, values: ir.Value, onehot: ir.Value) -> ir.Value:
    """The target's entry, [batch]."""
    picked = op("Where", onehot, values, op.scalar(0.0, values), dtype=values.dtype)
    return _over_classes(op, "ReduceSum", picked)


@dataclass(frozen=True)
class _Others:
    """Softmax of all classes but the target: probabilities [batch, classes] and logsumexp [batch]."""

    probability: ir.Value
    logsumexp: ir.Value


def _others(op: Builder, logits: ir.Value, onehot: ir.Value) -> _Others:
    masked = op("Where", onehot, op.scalar(-np.inf, logits), logits, dtype=logits.dtype)
    highest = _over_classes(op, "ReduceMax", masked)
    probability = op("Softmax", masked, axis=-1)
    # The largest probability is 1/sum(exp(z - highest)). Summing again would add another rounding, and
    # ONNX Runtime's ReduceSum rounds a batch of one differently from a larger one: this does not.
    largest = _over_classes(op, "ReduceMax", probability)
    return _Others(probability, op("Sub", highest, op("Log", largest)))


def _indicator(op: Builder, onehot: ir.Value, like: ir.Value) -> ir.Value:
    assert like.dtype is not None
    return op("Cast", onehot, to=int(like.dtype), dtype=like.dtype)


def _softmax(op: Builder, logits: ir.Value, onehot: ir.Value) -> Head:
    # p = 1/(1 + exp(-d)) with d = z_t - logsumexp(others), so dp/dz = e/(1+e)^2 * (onehot - softmax(others))
    # with e = exp(-|d|): nothing is subtracted from one, whatever the size of d.
    others = _others(op, logits, onehot)
    d = op("Sub", _pick(op, logits, onehot), others.logsumexp)
    e = op("Exp", op("Neg", op("Abs", d)))
    one = op.scalar(1.0, e)
    total = op("Add", one, e)
    likely = op("GreaterOrEqual", d, op.scalar(0.0, d), dtype=ir.DataType.BOOL)
    score = op("Div", op("Where", likely, one, e, dtype=e.dtype), total)
    scale = op("Div", e, op("Mul", total, total))
    seed = op("Sub", _indicator(op, onehot, logits), others.probability)
    return Head(score, seed, scale)


def _log_softmax(op: Builder, logits: ir.Value, onehot: ir.Value) -> Head:
    # log p = -softplus(-d), d(log p)/dz = (1 - p) * (onehot - softmax(others)), 1 - p = 1/(1 + exp(d)).
    others = _others(op, logits, onehot)
    d = op("Sub", _pick(op, logits, onehot), others.logsumexp)
    e = op("Exp", op("Neg", op("Abs", d)))
    one, zero = op.scalar(1.0, e), op.scalar(0.0, e)
    likely = op("GreaterOrEqual", d, zero, dtype=ir.DataType.BOOL)
    scale = op("Div", op("Where", likely, e, one, dtype=e.dtype), op("Add", one, e))
    score = op("Sub", op("Min", d, zero), _log1p(op, e))
    seed = op("Sub", _indicator(op, onehot, logits), others.probability)
    return Head(score, seed, scale)


def _log1p(op: Builder, e: ir.Value) -> ir.Value:
    """log(1 + e) for 0 <= e <= 1 without losing a small e: 2 artanh(e/(2+e)) as its own small series."""
    one, half = op.scalar(1.0, e), op.scalar(0.25, e)
    plain = op("Log", op("Add", one, e))
    # For e < 1/4: e - e^2/2 + ... in s = e/(2+e) < 1/9: 2s(1 + s^2/3 + s^4/5 + s^6/7), error s^8/9 < 3e-9.
    s = op("Div", e, op("Add", op.scalar(2.0, e), e))
    q = op("Mul", s, s)
    series = op.scalar(1 / 7, e)
    for coefficient in (1 / 5, 1 / 3, 1.0):
        series = op("Add", op("Mul", series, q), op.scalar(coefficient, e))
    small = op("Mul", op("Mul", op.scalar(2.0, e), s), series)
    return op("Where", op("Less", e, half, dtype=ir.DataType.BOOL), small, plain, dtype=e.dtype)


def _ones_like(op: Builder, score: ir.Value) -> ir.Value:
    return op("Expand", op.scalar(1.0, score), op("Shape", score, dtype=ir.DataType.INT64))


def _logit(op: Builder, logits: ir.Value, onehot: ir.Value) -> Head:
    score = _pick(op, logits, onehot)
    return Head(score, _indicator(op, onehot, logits), _ones_like(op, score))


def _margin(op: Builder, logits: ir.Value, onehot: ir.Value) -> Head:
    # z_t minus the runner-up; a tie among the others goes to the first, as ArgMax does.
    masked = op("Where", onehot, op.scalar(-np.inf, logits), logits, dtype=logits.dtype)
    highest = _over_classes(op, "ReduceMax", masked)
    score = op("Sub", _pick(op, logits, onehot), highest)
    rival = op("ArgMax", masked, axis=-1, keepdims=1, dtype=ir.DataType.INT64)
    classes = op("Range", op.ints(0), _class_count(op, logits), op.ints(1), dtype=ir.DataType.INT64)
    is_rival = op("Equal", classes, rival, dtype=ir.DataType.BOOL)
    seed = op("Sub", _indicator(op, onehot, logits), _indicator(op, is_rival, logits))
    return Head(score, seed, _ones_like(op, score))


def _class_count(op: Builder, logits: ir.Value) -> ir.Value:
    size = op("Shape", logits, start=-1, dtype=ir.DataType.INT64)
    return op("Squeeze", size, op.ints([0]))


def _sigmoid_of_target(op: Builder, logits: ir.Value, onehot: ir.Value) -> Head:
    # The same e as in the softmax head, with d the target's own logit.
    d = _pick(op, logits, onehot)
    e = op("Exp", op("Neg", op("Abs", d)))
    one = op.scalar(1.0, e)
    total = op("Add", one, e)
    likely = op("GreaterOrEqual", d, op.scalar(0.0, d), dtype=ir.DataType.BOOL)
    score = op("Div", op("Where", likely, one, e, dtype=e.dtype), total)
    scale = op("Div", e, op("Mul", total, total))
    return Head(score, _indicator(op, onehot, logits), scale)


def _at(logits: Float64, target: npt.NDArray[np.int64]) -> Float64:
    picked: Float64 = np.take_along_axis(logits, target[:, None], axis=1)[:, 0]
    return picked


def _without(logits: Float64, target: npt.NDArray[np.int64]) -> Float64:
    masked = logits.copy()
    np.put_along_axis(masked, target[:, None], -np.inf, axis=1)
    return masked


def _odds(logits: Float64, target: npt.NDArray[np.int64]) -> Float64:
    masked = _without(logits, target)
    highest = masked.max(axis=1)
    logsumexp: Float64 = highest + np.log(np.exp(masked - highest[:, None]).sum(axis=1))
    return _at(logits, target) - logsumexp


def _runner_up_margin(logits: Float64, target: npt.NDArray[np.int64]) -> Float64:
    rival: Float64 = _without(logits, target).max(axis=1)
    return _at(logits, target) - rival


def _sigmoid(d: Float64) -> Float64:
    e: Float64 = np.exp(-np.abs(d))
    return np.where(d >= 0, 1.0, e) / (1 + e)


def _sigmoid_slope(d: Float64) -> Float64:
    e: Float64 = np.exp(-np.abs(d))
    return e / (1 + e) ** 2


def _log_sigmoid(d: Float64) -> Float64:
    log: Float64 = np.minimum(d, 0) - np.log1p(np.exp(-np.abs(d)))
    return log


def _same(d: Float64) -> Float64:
    return d


OBJECTIVES: dict[str, Objective] = {
    "softmax": Objective(_softmax, _odds, _sigmoid, _sigmoid_slope),
    "log_softmax": Objective(_log_softmax, _odds, _log_sigmoid, lambda d: _sigmoid(-d)),
    "sigmoid": Objective(_sigmoid_of_target, _at, _sigmoid, _sigmoid_slope),
    "logit": Objective(_logit, _at, _same, np.ones_like),
    "margin": Objective(_margin, _runner_up_margin, _same, np.ones_like),
}
"""The objectives by the name that `export` takes."""

AMONG_CLASSES = ("softmax", "log_softmax", "margin")
"""Those that a number which all classes share does not change."""
