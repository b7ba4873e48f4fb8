"""Unrolls LSTM, GRU and RNN: a step of ordinary operators for each element of the sequence."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.reading.inference import infer_shapes
from fluxpath.export.reading.recurrent_steps import PARAMETERS, STEPS, Activation, Direction
from fluxpath.export.rules._registry import Gradients, rule

_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def unroll(model: ir.Model) -> ir.Model:
    """Replace, in place, every recurrent operator that can be; `obstacle` says why one cannot."""
    graph = model.graph
    if not any(node.op_type in STEPS and not node.domain for node in graph):
        return model
    model = infer_shapes(model)
    op = Builder(graph)
    for node in list(graph):
        if node.op_type in STEPS and not node.domain and obstacle(node) is None:
            count = len(graph)
            outputs = _unrolled(op, node)
            added = list(graph)[count:]
            graph.remove(added)
            graph.insert_before(node, added)
            _replace(graph, node, outputs)
    return model


@rule("LSTM", "GRU", "RNN", all_outputs=True)
def refuse(op: Builder, node: ir.Node, gs: tuple[ir.Value | None, ...]) -> Gradients:
    """What is left of them when a graph is differentiated could not be unrolled."""
    raise ValueError(obstacle(node) or "was not unrolled")


def obstacle(node: ir.Node) -> str | None:
    """Why a recurrent operator cannot be unrolled; None if it can."""
    length = _sequence_length(node)
    if length is None:
        return "has a sequence of unknown length: export the model with a fixed sequence length"
    lengths = node.inputs[4] if len(node.inputs) > 4 else None
    known = constant_of(lengths)
    if lengths is not None and (known is None or (known != length).any()):
        return "has sequence_lens other than a constant of the full length: export the model without them"
    if "clip" in node.attributes:
        return "clips its gates (attribute clip)"
    unknown = sorted(set(_activation_names(node)) - set(PARAMETERS))
    if unknown:
        return f"has the activations {unknown}, and there are {sorted(PARAMETERS)}"
    return None


def _sequence_length(node: ir.Node) -> int | None:
    x = node.inputs[0]
    if x is None or x.shape is None or len(x.shape) != 3:
        return None
    length = dims(x)[1 if _batch_first(node) else 0]
    return length if isinstance(length, int) and length > 0 else None


def _batch_first(node: ir.Node) -> bool:
    return bool(node.attributes.get_int("layout", 0))


def _backward(node: ir.Node) -> list[bool]:
    """For each direction whether it runs from the end to the beginning."""
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    return directions[node.attributes.get_string("direction", "forward")]


def _activation_names(node: ir.Node) -> list[str]:
    attr = node.attributes.get("activations")
    if attr is None:
        return _DEFAULTS[node.op_type] * len(_backward(node))
    # Runtimes do not mind the case.
    proper = {name.lower(): name for name in PARAMETERS}
    return [proper.get(name.lower(), name) for name in attr.as_strings()]


def _activations(node: ir.Node) -> list[Activation]:
    """The functions of all directions; parameters are handed out in order to those that take one."""
    given: dict[str, list[float]] = {}
    for name in ("alpha", "beta"):
        given[name] = list(node.attributes.get_floats(f"activation_{name}", []))
    result = []
    for function in _activation_names(node):
        taken = {name: given[name].pop(0) for name in PARAMETERS[function] if given[name]}
        result.append(Activation(function, taken))
    return result


def _unrolled(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    """The values of the outputs; None where nothing reads one."""
    x, w, r, b, _, h0, c0, p = [*node.inputs, *[None] * 8][:8]
    assert x is not None and w is not None and r is not None
    length, backward, functions = _sequence_length(node), _backward(node), _activations(node)
    assert length is not None
    if _batch_first(node):
        # As [sequence, batch, features], which is the order that the steps run in.
        x = op("Transpose", x, perm=[1, 0, 2])
    each = len(functions) // len(backward)
    step = STEPS[node.op_type]
    sequences, finals, cells = [], [], []
    for d, reverse in enumerate(backward):
        own = [_part(op, v, d) for v in (w, r, b, p)]
        direction = Direction(op, node, own, functions[d * each : (d + 1) * each])
        inputs = _projected(op, x, direction, length)
        h = _state(op, node, h0, d, direction, inputs[0])
        c = _state(op, node, c0, d, direction, inputs[0]) if node.op_type == "LSTM" else None
        hidden: list[ir.Value] = []
        for t in range(length)[::-1] if reverse else range(length):
            h, c = step(direction, inputs[t], h, c)
            hidden.append(h)
        sequences.append(hidden[::-1] if reverse else hidden)
        finals.append(h)
        cells.append(c)
    outputs = [_sequence(op, node, sequences), _final(op, node, finals)]
    if node.op_type == "LSTM":
        outputs.append(_final(op, node, [c for c in cells if c is not None]))
    return [v if _is_read(old) else None for v, old in zip(outputs, node.outputs, strict=False)]


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _part(op: Builder, value: ir.Value | None, direction: int) -> ir.Value | None:
    """One direction's share of a parameter."""
    known = constant_of(value)
    if known is not None:
        return op.constant(known[direction])
    return None if value is None else op("Gather", value, op.ints(direction), axis=0)


def _projected(op: Builder, x: ir.Value, direction: Direction, length: int) -> list[ir.Value]:
    """What each element of the sequence contributes to the gates, [batch, gates], in one product."""
    gates = op("MatMul", x, direction.projection)
    if direction.bias is not None:
        gates = op("Add", gates, direction.bias)
    parts = op.node("Split", [gates], length, None, {"axis": 0, "num_outputs": length})
    return [op("Squeeze", part, op.ints([0])) for part in parts]


def _state(
    op: Builder, node: ir.Node, given: ir.Value | None, d: int, direction: Direction, like: ir.Value
) -> ir.Value:
    """The initial state of direction `d`, [batch, hidden]; zeros if there is none."""
    if given is not None:
        return op("Gather", given, op.ints(d), axis=1 if _batch_first(node) else 0)
    batch = op("Shape", like, start=0, end=1, dtype=ir.DataType.INT64)
    return op.zeros(op("Concat", batch, op.ints([direction.hidden]), axis=0), like)


def _sequence(op: Builder, node: ir.Node, sequences: list[list[ir.Value]]) -> ir.Value:
    """All hidden states, [sequence, direction, batch, hidden] or with layout 1 [batch, sequence, ...]."""
    lead = op.ints([0, 1])
    stacks = [op("Concat", *(op("Unsqueeze", h, lead) for h in hidden), axis=0) for hidden in sequences]
    stacked = op("Concat", *stacks, axis=1) if len(stacks) > 1 else stacks[0]
    return op("Transpose", stacked, perm=[2, 0, 1, 3]) if _batch_first(node) else stacked


def _final(op: Builder, node: ir.Node, finals: list[ir.Value]) -> ir.Value:
    """The states after the last step, [direction, batch, hidden] or with layout 1 [batch, direction, ...]."""
    axis = 1 if _batch_first(node) else 0
    stacks = [op("Unsqueeze", h, op.ints([axis])) for h in finals]
    return op("Concat", *stacks, axis=axis) if len(stacks) > 1 else stacks[0]


def _replace(graph: ir.Graph, node: ir.Node, outputs: Sequence[ir.Value | None]) -> None:
    names = [v.name for v in node.outputs]
    for old, new in zip(node.outputs, outputs, strict=True):
        if new is not None:
            new.type, new.shape = old.type, old.shape
            ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    for name, value in zip(names, outputs, strict=True):
        if value is not None:
            value.name = name
