"""Finds logits behind an output of probabilities, whatever made these."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims

PROBABILITIES = {"Softmax", "LogSoftmax", "Sigmoid"}

PER_ROW = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Clip", "Dropout"}
"""What models and converters put behind a Softmax, and which gives every row the same numbers again."""

_TINY = float(np.finfo(np.float32).tiny)


def before_probabilities(output: ir.Value) -> ir.Value:
    """The logits behind an output of probabilities; the output itself where no Softmax or Sigmoid made it."""
    value = _made(output)
    producer = value.producer()
    if producer is None or producer.op_type not in PROBABILITIES:
        return output
    inner = producer.inputs[0]
    whole = producer.op_type == "Sigmoid" or _over_the_row(producer.attributes.get_int("axis", -1), value)
    return inner if inner is not None and whole else output


def logarithms(op: Builder, output: ir.Value) -> ir.Value | None:
    """Logits of probabilities [batch, classes] that were divided by their sum, are p and 1 - p, or are a mean
    of probabilities, as an ensemble's are; None where the graph does not show that rows sum to one.

    Logits are the logarithms of probabilities, but for a number that all classes share.
    """
    value = _made(output)
    if output.shape is None or len(output.shape) != 2 or not np.isclose(_total(value), 1.0, rtol=1e-5):
        return None
    node = value.producer()
    assert node is not None
    if node.op_type == "Concat":
        z = _logit(op, node.inputs[1])
        return _logarithm(op, value) if z is None else op("Concat", op("Sub", z, z), z, axis=1)
    if node.op_type in ("Div", "LpNormalization") and constant_of(node.inputs[-1]) is None:
        return _logarithm(op, node.inputs[0])  # the sum is what all share
    return _logarithm(op, value)


def _logarithm(op: Builder, given: ir.Value | None) -> ir.Value:
    """log(given), by what `given` was made of where that keeps digits, or from overflowing."""
    value = _unguarded(given)
    node = value.producer()
    if node is not None and node.op_type == "Exp" and node.inputs[0] is not None:
        return node.inputs[0]
    z = _logit(op, value)
    if z is not None:
        return op("Neg", op("Softplus", op("Neg", z)))
    return op("Log", op("Clip", value, op.scalar(_TINY, value)))


def _logit(op: Builder, given: ir.Value | None) -> ir.Value | None:
    """z where `given` is Sigmoid(z), or 1 / (1 + Exp(-z))."""
    node = _made(given).producer()
    if node is None:
        return None
    if node.op_type == "Sigmoid":
        return node.inputs[0]
    if node.op_type == "Div" and _is_one(node.inputs[0]):
        divisor = node.inputs[1]
    elif node.op_type == "Reciprocal":
        divisor = node.inputs[0]
    else:
        return None
    total = _made(divisor).producer()
    if total is None or total.op_type != "Add" or not any(_is_one(v) for v in total.inputs):
        return None
    power = next((_made(v).producer() for v in total.inputs if not _is_one(v)), None)
    return op("Neg", power.inputs[0]) if power is not None and power.op_type == "Exp" else None


def _unguarded(given: ir.Value | None) -> ir.Value:
    """`given` without the ones that are added where all of a row is zero."""
    value = _made(given)
    node = value.producer()
    if node is not None and node.op_type == "Add":
        rest = [v for v in node.inputs if _made(v).dtype != ir.DataType.BOOL]
        if len(rest) == 1:
            return _made(rest[0])
    return value


def _is_one(value: ir.Value | None) -> bool:
    known = constant_of(value)
    return known is not None and known.size > 0 and bool((known == 1).all())


def _made(value: ir.Value | None) -> ir.Value:
    """Where the numbers in `value` were computed."""
    assert value is not None
    producer = value.producer()
    while producer is not None and producer.op_type in PER_ROW and producer.inputs[0] is not None:
        value, producer = producer.inputs[0], producer.inputs[0].producer()
    return value


def _total(given: ir.Value | None) -> float:
    """What every row of `given` sums to, NaN where the graph does not show it."""
    value = _made(given)
    node = value.producer()
    if node is None:
        return np.nan
    operands = list(node.inputs)
    if node.op_type in ("Sum", "Add", "Mean"):
        whole = sum(_total(v) for v in operands)
        return whole / len(operands) if node.op_type == "Mean" else whole
    if node.op_type in ("Div", "Mul"):
        for one, other in ((operands[0], operands[1]), (operands[1], operands[0])):
            factor = constant_of(other)
            if factor is not None and factor.size == 1 and factor.any():
                number = float(factor.item())
                return _total(one) * (1 / number if node.op_type == "Div" else number)
            if node.op_type == "Div":
                break
    rows = value.shape is not None and len(value.shape) == 2
    if node.op_type == "Concat" and len(operands) == 2:
        return 1.0 if rows and _is_rest(operands[0], operands[1]) else np.nan
    if node.op_type == "Exp":
        return 1.0 if _is_logarithm(operands[0]) else np.nan
    closed = node.op_type == "LpNormalization" and node.attributes.get_int("p", 2) == 1
    closed = closed or (node.op_type == "Div" and _sums_up(operands[1], operands[0]))
    if node.op_type == "Softmax" or closed:
        axis = node.attributes.get_int("axis", -1)
        return 1.0 if _over_the_row(axis, value) else np.nan
    return np.nan


def _is_rest(value: ir.Value | None, other: ir.Value | None) -> bool:
    """Whether `value` [batch, 1] is 1 - other."""
    node = _made(value).producer()
    if node is None or node.op_type != "Sub" or other is None or other.shape is None or dims(other)[1] != 1:
        return False
    return _is_one(node.inputs[0]) and _made(node.inputs[1]) is _made(other)


def _is_logarithm(value: ir.Value | None) -> bool:
    """Whether `value` is the logarithm of a Softmax of rows."""
    made = _made(value)
    node = made.producer()
    if node is None:
        return False
    if node.op_type == "LogSoftmax":
        return _over_the_row(node.attributes.get_int("axis", -1), made)
    if node.op_type != "Sub":
        return False
    total = _made(node.inputs[1]).producer()
    return (
        total is not None
        and total.op_type == "ReduceLogSumExp"
        and _made(total.inputs[0]) is _made(node.inputs[0])
    )


def _sums_up(value: ir.Value | None, parts: ir.Value | None) -> bool:
    """Whether `value` is the sum of a row of `parts`, but for what guards a division by zero."""
    waiting = [value]
    while waiting:
        node = _made(waiting.pop()).producer()
        if node is None:
            continue
        if node.op_type in ("ReduceSum", "ReduceL1"):
            return _made(node.inputs[0]) is _unguarded(parts)
        if node.op_type in ("Where", "Add", "Max"):
            waiting += [v for v in node.inputs if v is not None and v.dtype != ir.DataType.BOOL]
    return False


def _over_the_row(axis: int, value: ir.Value) -> bool:
    """Whether `axis` is the one along which a row of `value` has more than one entry."""
    if value.shape is None:
        return axis == -1
    sizes = dims(value)
    axis = axis % len(sizes)
    return axis > 0 and all(d == 1 for i, d in enumerate(sizes) if i not in (0, axis))
