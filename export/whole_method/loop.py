"""Wraps a gradient graph into one ONNX Loop that runs a method from beginning to end."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath import manifest as contract
from fluxpath.export.builder import Builder, Dim, dims
from fluxpath.export.whole_method import _surgery
from fluxpath.export.whole_method.base import (
    BASELINE,
    LARGEST,
    NOISE,
    POINT,
    STATUS,
    STEPS,
    SUM,
    Outside,
    Start,
    State,
    Tick,
    WholeMethod,
)
from fluxpath.export.whole_method.expression import Expr, where
from fluxpath.manifest import Manifest
from fluxpath.status import Status

ATTRIBUTION, EXPLAINED = "attribution", "explained"
OUTPUTS = (ATTRIBUTION, STEPS, STATUS, contract.SCORE, contract.LABEL, EXPLAINED)
"""What the file gives, in this order."""

_NUMBER, _LOST = "number", "lost"
"""State of the loop's own: the turn, and 1 where a gradient's scale was too small for float32 on the way."""

_MEANING = {
    contract.TARGET: "The class to explain, one per row; a negative number: the predicted class.",
    NOISE: "Directions of the samples; their lengths do not matter. Where it has a default it may be left "
    "out: a warning of ONNX Runtime about an initializer among the inputs means this one.",
    BASELINE: "What the images are compared with. It may be left out: a warning of ONNX Runtime about an "
    "initializer among the inputs means this one.",
    ATTRIBUTION: "How much each element of the input counted, in its shape; zeros where status is 6 or 7.",
    STEPS: "How many steps each row took.",
    STATUS: "How each row ended: " + ", ".join(f"{s.value} {s.name.lower()}" for s in Status) + ".",
    contract.SCORE: "The explained number (as a probability) at the input; NaN where status is 6.",
    contract.LABEL: "The predicted class at the input.",
    EXPLAINED: "The class that was explained.",
}
"""What stands beside the inputs and outputs in the file; the model's other inputs are its own."""


def wrap(gradient: ir.Model, manifest: Manifest, method: WholeMethod) -> ir.Model:
    """The whole method around `gradient`, a gradient graph as `manifest` describes it, which is used up.

    Its nodes become the Loop's body. Weights, and what is computed from weights alone, move out of it: they
    are stored once and computed once a run. Images advance together; one that has ended waits, masked.
    """
    body = gradient.graph
    inputs = {str(v.name): v for v in body.inputs}
    results = {str(v.name): v for v in body.outputs}
    point, chosen = inputs.pop(manifest.input), inputs.pop(contract.TARGET)
    body.inputs.clear()
    body.outputs.clear()
    image, target = _like(point, manifest.input), _like(chosen, contract.TARGET)
    graph = ir.Graph([image, target, *inputs.values()], [], nodes=[], name=method.name)
    graph.opset_imports.update(gradient.opset_imports)
    _surgery.hoist(body, graph, {point, chosen})
    _surgery.free_names(graph, (*OUTPUTS, NOISE, BASELINE))
    op = Builder(graph)
    outside = Outside(op, Expr(op, image, len(dims(image))), manifest)
    start = method.start(outside)
    _surgery.check_inputs(graph, OUTPUTS)
    valid = _valid(outside, Expr(op, target, 1), start)
    before = _initial(outside, Expr(op, target, 1), start, valid)
    entering = _enter(body, before, {POINT: point, contract.TARGET: chosen})
    after = _turn(method, outside, start, entering, results)
    last = _loop(outside, body, before, after, method.turns)
    attribution = where(last[STATUS].equals(Status.NON_FINITE), 0.0, method.finish(outside, start, last))
    last |= {ATTRIBUTION: attribution, EXPLAINED: last[contract.TARGET], STATUS: _ended(last, attribution)}
    last[contract.SCORE] = where(valid, last[contract.SCORE], math.nan)
    for name in OUTPUTS:
        out = op("Identity", last[name].value)
        out.name, out.shape = name, ir.Shape(_dims(last[name], image))
        graph.outputs.append(out)
    for value in (*graph.inputs, *graph.outputs):
        value.doc_string = _MEANING.get(str(value.name))
    image.doc_string = f"What to explain, a batch of any size{_range(manifest)}."
    model = ir.Model(graph, ir_version=_ir_version(gradient), producer_name="fluxpath")
    model.doc_string = _description(manifest, method)
    model = common.RemoveUnusedNodesPass()(model).model
    return common.NameFixPass()(model).model


def _ended(last: State, attribution: Expr) -> Expr:
    """The status: of zeros that float32 made of an attribution, UNDERFLOW; else the walk's."""
    status = last[STATUS]
    vanished = attribution.abs().largest().equals(0.0) & (last[_LOST] > 0)
    return where(vanished & ~status.equals(Status.NON_FINITE), Status.UNDERFLOW, status)


def _description(manifest: Manifest, method: WholeMethod) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in method.settings().items())
    return (
        f"A classifier of {manifest.classes} classes and the attribution method {method.name} ({settings}) "
        f"around it: from inputs and targets to how much each element counted for the {manifest.objective}."
    )


def _range(manifest: Manifest) -> str:
    ends = ("at least", manifest.low), ("at most", manifest.high)
    return "".join(f", {word} {end:g}" for word, end in ends if end is not None)


def _ir_version(model: ir.Model) -> int:
    """At least the one that the operator sets came with: the oldest know no optional inputs."""
    sets = [onnx.helper.make_opsetid(name, version) for name, version in model.opset_imports.items()]
    return max(model.ir_version, onnx.helper.find_min_ir_version_for(sets, ignore_unknown=True))


def _valid(outside: Outside, target: Expr, start: Start) -> Expr:
    """bool [batch]: whether there is anything to explain; see `attribution_from_onnx`."""
    low, high, image = outside.manifest.low, outside.manifest.high, outside.image
    inside = image.abs() <= LARGEST
    if low is not None:
        inside = inside & (image >= low)
    if high is not None:
        inside = inside & (image <= high)
    valid = inside.everywhere() & (target < outside.manifest.classes)
    return valid if start.valid is None else valid & start.valid


def _initial(outside: Outside, target: Expr, start: Start, valid: Expr) -> State:
    """The state that enters the first turn."""
    running = outside.rows(Status.RUNNING, ir.DataType.INT32)
    return {
        POINT: outside.image,
        SUM: outside.zeros(),
        STEPS: outside.rows(0, ir.DataType.INT32),
        STATUS: where(valid, running, Status.NON_FINITE),
        _LOST: outside.rows(0, ir.DataType.INT32),
        contract.TARGET: target,
        contract.SCORE: outside.rows(0, ir.DataType.FLOAT),
        contract.LABEL: outside.rows(-1, ir.DataType.INT64),
        **start.state,
    }


def _enter(body: ir.Graph, before: State, existing: Mapping[str, ir.Value]) -> State:
    """Give the body its inputs: the turn's number, whether to go on (not used), and the state."""
    op, image = Builder(body), before[POINT].value
    number = ir.Value(name=_NUMBER, type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([]))
    go_on = ir.Value(name="go_on", type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]))
    body.inputs.extend([number, go_on])
    state = {_NUMBER: Expr(op, number, 0)}
    for name, first in before.items():
        value = existing.get(name, ir.Value(name=name))
        value.type, value.shape = first.value.type, ir.Shape(_dims(first, image))
        body.inputs.append(value)
        state[name] = Expr(op, value, first.rank)
    return state


def _turn(
    method: WholeMethod, outside: Outside, start: Start, state: State, results: Mapping[str, ir.Value]
) -> State:
    """Write one turn of the method behind the gradient's nodes; the state that leaves the body."""
    op, number = state[POINT].op, state[_NUMBER]
    score, label, scale = (Expr(op, results[n], 1) for n in (contract.SCORE, contract.LABEL, contract.SCALE))
    gradient = Expr(op, results[contract.GRADIENT], outside.image.rank)
    target = where(state[contract.TARGET] < 0, label, state[contract.TARGET])
    largest = gradient.abs().largest()
    by = where(largest.equals(0.0), 1.0, largest)
    unit = gradient / by
    # An infinity or a NaN among the elements makes this sum NaN, whatever ReduceMax made of it.
    finite = (unit.squares() >= 0) & (scale.abs() <= LARGEST)
    tick = Tick(
        number=number,
        image=Expr(op, outside.image.value, outside.image.rank),
        target=target,
        label=label,
        score=score,
        scale=scale,
        gradient=gradient,
        derivative=scale * gradient,
        unit=unit,
        largest=by,
        zero=largest.equals(0.0),
        finite=finite,
        alive=state[STATUS].equals(Status.RUNNING),
        state=state,
        shared={name: Expr(op, v.value, v.rank) for name, v in start.shared.items()},
        low=outside.manifest.low,
        high=outside.manifest.high,
        objective=outside.manifest.objective,
    )
    first = number.equals(0)
    lost = tick.alive & (largest > 0) & (scale.abs() * largest).equals(0.0)
    return {
        _LOST: state[_LOST].most(lost.to(ir.DataType.INT32)),
        contract.TARGET: target,
        contract.SCORE: where(first, score, state[contract.SCORE]),
        contract.LABEL: where(first, label, state[contract.LABEL]),
        **method.advance(tick),
    }


def _loop(outside: Outside, body: ir.Graph, before: State, after: State, turns: int) -> State:
    """Close the body, put the Loop into the graph around it and return the state that leaves it."""
    op, inside, image = outside.op, after[STATUS].op, outside.image.value
    running = after[STATUS].equals(Status.RUNNING).to(ir.DataType.INT32).value
    some = inside("ReduceMax", running, keepdims=0)
    go_on = inside("Greater", some, inside.scalar(0, some), dtype=ir.DataType.BOOL)
    go_on.shape = ir.Shape([])
    body.outputs.append(go_on)
    for name, first in before.items():
        # Of its own node each: two states may leave the body as the same value.
        out = inside("Identity", after[name].value)
        out.shape = ir.Shape(_dims(first, image))
        body.outputs.append(out)
    _surgery.bring_out_constants(body, op.graph)
    batch = op("Shape", image, start=0, end=1, dtype=ir.DataType.INT64)
    any_image = op("Greater", op("Squeeze", batch), op.ints(0), dtype=ir.DataType.BOOL)
    initial = [v.value for v in before.values()]
    outputs = op.node("Loop", [op.ints(turns), any_image, *initial], len(initial), None, {"body": body})
    last = {}
    for value, (name, first) in zip(outputs, before.items(), strict=True):
        value.name, value.type = f"last/{name}", first.value.type
        value.shape = ir.Shape(_dims(first, image))
        last[name] = Expr(op, value, first.rank)
    return last


def _like(value: ir.Value, name: str) -> ir.Value:
    return ir.Value(name=name, type=value.type, shape=value.shape)


def _dims(value: Expr, image: ir.Value) -> list[Dim]:
    return dims(image) if value.rank > 1 else dims(image)[:1]
