"""Reverse-mode differentiation of an ONNX graph.

The driver walks the nodes backward and asks each operator's rule for the gradients of its inputs. It
sums fan-out, undoes broadcasting and skips whatever does not depend on the input, so that rules hold
nothing but mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from fluxpath.errors import ModelError, UnsupportedOperatorError
from fluxpath.export import rules
from fluxpath.export.builder import Builder, dims, reduce_to

Cotangents = tuple[ir.Value | None, ...]
Apply = Callable[[Builder, ir.Node, Cotangents, int], list[ir.Value | None]]
"""Gives the gradients of a node's inputs by those of its outputs: the derivative rules, or others."""

_FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def differentiate(
    op: Builder, y: ir.Value, seed: ir.Value, x: ir.Value, opset: int, apply: Apply | None = None
) -> ir.Value:
    """Append to the graph the product of `seed` (the shape of `y`) with the Jacobian of `y` by `x`.

    Returns a value of the shape of `x`. Raises UnsupportedOperatorError where an operator on the way has
    no rule, ModelError where `y` does not depend on `x` through differentiable operators.
    """
    apply = apply_rule if apply is None else apply
    # Taken before the first gradient node is appended behind them.
    path = _path(op.graph, y, x, opset)
    sums: dict[ir.Value, list[ir.Value]] = {y: [seed]}
    op.unbounded = False
    for node in reversed(path.nodes):
        cotangents = tuple(_sum(op, sums.pop(v, [])) for v in node.outputs)
        if all(c is None for c in cotangents):
            continue
        with op.within(node.op_type):
            gradients = apply(op, node, cotangents, opset)
        op.unbounded = op.unbounded or rules.steep(node)
        for slot, value in enumerate(node.inputs):
            if value is None or value not in path.active:
                continue
            gradient = gradients[slot] if slot < len(gradients) else None
            if gradient is None:
                raise rules.unsupported(node, opset, f"has no derivative along its input {slot}")
            _note_shape(gradient, value)
            sums.setdefault(value, []).append(gradient)
    result = _sum(op, sums.get(x, []))
    if result is None:
        raise _independent(op.graph, y, x, path.active, opset)
    return result


class _Path:
    """The nodes through which `y` depends on `x`, in the graph's order, and the values between."""

    def __init__(self, nodes: list[ir.Node], active: set[ir.Value]) -> None:
        self.nodes = nodes
        self.active = active


def _path(graph: ir.Graph, y: ir.Value, x: ir.Value, opset: int) -> _Path:
    active, reached = {x}, []
    for node in graph:
        if not rules.is_cut(node) and any(v in active for v in _read_by(node)):
            coded = _is_quantized(node, active)
            carriers = [v for v in node.outputs if coded or v.dtype is None or v.dtype in _FLOATS]
            active.update(carriers)
            if carriers:
                reached.append(node)
    needed, nodes = {y}, []
    for node in reversed(reached):
        if any(v in needed for v in node.outputs):
            needed.update(v for v in _read_by(node) if v is not None)
            nodes.append(node)
    if y not in active:
        raise _independent(graph, y, x, active, opset)
    return _Path(nodes[::-1], active & needed)


def _is_quantized(node: ir.Node, active: set[ir.Value]) -> bool:
    """Whether integers stand for real numbers here: no rule takes them, and none must be passed over."""
    if node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear"):
        return True
    return any(v in active and v.dtype is not None and v.dtype not in _FLOATS for v in node.inputs)


def _read_by(node: ir.Node) -> Iterator[ir.Value | None]:
    """The inputs of `node`, and what the branches and bodies of control flow take from around them."""
    yield from node.inputs
    for attr in node.attributes.values():
        if attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            for inner in [attr.as_graph()] if attr.type == ir.AttributeType.GRAPH else attr.as_graphs():
                yield from inner.outputs
                for part in inner:
                    yield from _read_by(part)


def _independent(graph: ir.Graph, y: ir.Value, x: ir.Value, active: set[ir.Value], opset: int) -> ModelError:
    """The error for it; `active`: the values to which a derivative by `x` comes."""
    start = f"output '{y.name}' does not depend on input '{x.name}'"
    needed, ends = {y}, []
    for node in reversed(graph):
        if any(v in needed for v in node.outputs):
            read = [v for v in _read_by(node) if v is not None]
            needed.update(read)
            sizes = node.op_type in ("Shape", "Size")
            if not sizes and any(v in active for v in read) and not any(v in active for v in node.outputs):
                ends.append(node)
    if not ends:
        return ModelError(f"{start}: take an output that is computed from it")
    end = f"operator {ends[-1].op_type} (opset {opset}) of node '{ends[-1].name}'"
    return ModelError(
        f"{start} through differentiable operators, the way ends at {end}: take an output that is computed "
        "without argmax, rounding or comparison"
    )


def apply_rule(op: Builder, node: ir.Node, cotangents: Cotangents, opset: int) -> list[ir.Value | None]:
    """The gradients of the inputs of `node` by its derivative rule."""
    found = rules.find(node, opset)
    if not found.all_outputs and any(c is not None for c in cotangents[1:]):
        raise rules.unsupported(node, opset, "has no derivative rule for outputs other than its first")
    try:
        given = found.function(op, node, cotangents if found.all_outputs else cotangents[0])
        gradients: list[ir.Value | None] = [given] if isinstance(given, ir.Value) else list(given)
        if found.broadcasts:
            shape = dims(node.outputs[0])
            gradients = [
                g if g is None or v is None else reduce_to(op, g, shape, v)
                for g, v in zip(gradients, node.inputs, strict=False)
            ]
    except UnsupportedOperatorError:
        raise
    except ValueError as error:
        raise rules.unsupported(node, opset, str(error)) from error
    return gradients


def _sum(op: Builder, parts: list[ir.Value]) -> ir.Value | None:
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        with op.within("sum"):
            added = op("Add", total, part)
        _note_shape(added, total)
        total = added
    return total


def _note_shape(gradient: ir.Value, value: ir.Value) -> None:
    """A gradient has the shape of its value. Runtimes that plan memory layouts by shapes cannot tell, where
    the sizes went through Shape and Expand; rules need none."""
    if gradient.shape is None and value.shape is not None:
        gradient.shape = ir.Shape(list(dims(value)))
