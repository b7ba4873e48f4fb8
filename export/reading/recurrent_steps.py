"""One step of LSTM, GRU and RNN in ordinary operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

PARAMETERS: dict[str, tuple[str, ...]] = {
    "Affine": ("alpha", "beta"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "ScaledTanh": ("alpha", "beta"),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": ("alpha",),
}
"""The activation functions of the standard, with the parameters that each takes."""


@dataclass(frozen=True)
class Activation:
    """An activation function; parameters that are not given have the defaults of the operator."""

    name: str
    parameters: dict[str, float]

    def __call__(self, op: Builder, x: ir.Value) -> ir.Value:
        if self.name not in ("Affine", "ScaledTanh"):
            return op.node(self.name, [x], 1, None, dict(self.parameters))[0]
        alpha, beta = (op.scalar(self.parameters.get(p, 1.0), x) for p in ("alpha", "beta"))
        if self.name == "Affine":
            return op("Add", op("Mul", x, alpha), beta)
        return op("Mul", op("Tanh", op("Mul", x, beta)), alpha)


class Direction:
    """One direction of a recurrent operator: its weights, in the form in which the steps use them.

    `projection` [features, gates] and `bias` [gates] apply to the input, `recurrence` [hidden, gates]
    to the hidden state; gates stand in the standard's order.
    """

    def __init__(
        self, op: Builder, node: ir.Node, own: Sequence[ir.Value | None], functions: list[Activation]
    ) -> None:
        w, r, b, peepholes = own
        assert w is not None and r is not None
        self.op, self.functions = op, functions
        self.projection, self.recurrence = _transposed(op, w), _transposed(op, r)
        self.hidden = _hidden_size(node)
        self.reset_after = bool(node.attributes.get_int("linear_before_reset", 0))
        self.coupled = bool(node.attributes.get_int("input_forget", 0))
        width = self.hidden * GATES[node.op_type]
        self.bias = self.candidate_bias = None
        if b is not None:
            of_input, of_state = self.cut(b, [width, width], axis=0)
            if node.op_type == "GRU" and self.reset_after:
                # The candidate's recurrent bias is reset along with the state, so it stays apart.
                rest, self.candidate_bias = self.cut(of_state, [2 * self.hidden, self.hidden], axis=0)
                of_state = op("Pad", rest, op.ints([0, self.hidden]))
            self.bias = op("Add", of_input, of_state)
        self.peepholes = self.cut(peepholes, [self.hidden] * 3, axis=0) if peepholes is not None else None

    def cut(self, value: ir.Value, sizes: list[int], axis: int) -> tuple[ir.Value, ...]:
        """`value` in consecutive parts along one axis."""
        return self.op.node("Split", [value, self.op.ints(sizes)], len(sizes), None, {"axis": axis})


def _transposed(op: Builder, weight: ir.Value) -> ir.Value:
    known = constant_of(weight)
    return op("Transpose", weight, perm=[1, 0]) if known is None else op.constant(known.T)


def _hidden_size(node: ir.Node) -> int:
    r = node.inputs[2]
    size = r.shape[-1] if r is not None and r.shape is not None else None
    return size if isinstance(size, int) else node.attributes.get_int("hidden_size", 0)


Step = Callable[[Direction, ir.Value, ir.Value, ir.Value | None], tuple[ir.Value, ir.Value | None]]
"""From a direction, what the input contributes to the gates, and the hidden and cell states to new states."""


def _lstm(d: Direction, x: ir.Value, h: ir.Value, c: ir.Value | None) -> tuple[ir.Value, ir.Value | None]:
    op = d.op
    f, g, out = d.functions
    gates = op("Add", x, op("MatMul", h, d.recurrence))
    three, candidate = d.cut(gates, [3 * d.hidden, d.hidden], axis=1)
    if d.peepholes is None:
        i, o, forget = d.cut(f(op, three), [d.hidden] * 3, axis=1)
    else:
        i, o, forget = d.cut(three, [d.hidden] * 3, axis=1)
        i = f(op, op("Add", i, op("Mul", d.peepholes[0], c)))
        forget = f(op, op("Add", forget, op("Mul", d.peepholes[2], c)))
    if d.coupled:
        forget = op("Sub", op.scalar(1.0, i), i)
    cell = op("Add", op("Mul", forget, c), op("Mul", i, g(op, candidate)))
    if d.peepholes is not None:
        o = f(op, op("Add", o, op("Mul", d.peepholes[1], cell)))
    return op("Mul", o, out(op, cell)), cell


def _gru(d: Direction, x: ir.Value, h: ir.Value, c: ir.Value | None) -> tuple[ir.Value, ir.Value | None]:
    op = d.op
    f, g = d.functions
    two_and_one = [2 * d.hidden, d.hidden]
    of_gates, of_candidate = d.cut(x, two_and_one, axis=1)
    if d.reset_after:
        from_gates, from_candidate = d.cut(op("MatMul", h, d.recurrence), two_and_one, axis=1)
        update, reset = d.cut(f(op, op("Add", of_gates, from_gates)), [d.hidden] * 2, axis=1)
        if d.candidate_bias is not None:
            from_candidate = op("Add", from_candidate, d.candidate_bias)
        carried = op("Mul", reset, from_candidate)
    else:
        gate_weights, candidate_weights = d.cut(d.recurrence, two_and_one, axis=1)
        gates = f(op, op("Add", of_gates, op("MatMul", h, gate_weights)))
        update, reset = d.cut(gates, [d.hidden] * 2, axis=1)
        carried = op("MatMul", op("Mul", reset, h), candidate_weights)
    candidate = g(op, op("Add", of_candidate, carried))
    kept = op("Mul", update, h)
    return op("Add", op("Mul", op("Sub", op.scalar(1.0, update), update), candidate), kept), None


def _rnn(d: Direction, x: ir.Value, h: ir.Value, c: ir.Value | None) -> tuple[ir.Value, ir.Value | None]:
    return d.functions[0](d.op, d.op("Add", x, d.op("MatMul", h, d.recurrence))), None


STEPS: dict[str, Step] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
