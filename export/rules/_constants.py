"""Constants that are read a second time, backward. All is nodes on the one initializer: no file grows."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fluxpath.export.builder import Builder


def backward(op: Builder, value: ir.Value, axes: Sequence[int]) -> ir.Value:
    """`value` with its elements along `axes` in reverse order."""
    ends, steps = [-(2**31)] * len(axes), [-1] * len(axes)
    return op("Slice", value, op.ints(steps), op.ints(ends), op.ints(axes), op.ints(steps))


def apart(op: Builder, weight: ir.Value) -> ir.Value:
    """A square `weight` for the backward pass: if it is a constant, as an array of its own.

    OpenVINO's CPU plugin files a weight that it has rearranged under its address and its sizes. Where two
    products read one square weight, the second of them transposed, that one is given what was rearranged
    for the first: the scores are right, the gradient is wrong, and nothing says so (seen in 2026.4). Reversed
    twice, the weight has another address. Whoever folds constants at load does that once, as with the
    transposition that follows; and what only moves elements is folded in half precision too.
    """
    return backward(op, backward(op, weight, [0]), [0]) if _constant(weight) else weight


def _constant(value: ir.Value) -> bool:
    """Whether `value` is made of initializers alone, and so is the same at every evaluation."""
    waiting, seen = [value], {value}
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None:
            if value.is_graph_input() or value.const_value is None:
                return False
            continue
        read = {v for v in node.inputs if v is not None} - seen
        if not node.inputs and node.op_type != "Constant":
            return False
        seen |= read
        waiting.extend(read)
    return True
