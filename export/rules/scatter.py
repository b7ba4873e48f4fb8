"""Writing elements at indices: what was overwritten gets no gradient, what was written reads it there."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import positions, scatter_back
from fluxpath.export.rules._shape import shape_value
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.gather import operand


def _adds(node: ir.Node) -> bool:
    """Whether updates are added to the data instead of replacing it."""
    reduction = node.attributes.get_string("reduction", "none")
    if reduction not in ("none", "add"):
        raise ValueError(f"has the reduction '{reduction}', and only none and add have a rule")
    return reduction == "add"


def _zeros_like(op: Builder, value: ir.Value, g: ir.Value) -> ir.Value:
    return op.zeros(shape_value(op, value), g)


@rule("ScatterND", since=11)
def scatter_nd(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    indices, updates = operand(node, 1), operand(node, 2)
    along_updates = op("GatherND", g, indices)
    if _adds(node):
        return g, None, along_updates
    erased = op("ScatterND", g, indices, _zeros_like(op, updates, g))
    return erased, None, along_updates


@rule("ScatterElements", since=11)
def scatter_elements(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    indices, updates = operand(node, 1), operand(node, 2)
    axis = node.attributes.get_int("axis", 0)
    along_updates = op("GatherElements", g, indices, axis=axis)
    if _adds(node):
        return g, None, along_updates
    erased = op("ScatterElements", g, indices, _zeros_like(op, updates, g), axis=axis)
    return erased, None, along_updates


@rule("TensorScatter", since=24)
def tensor_scatter(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Which element of the update became which of the result, the operator tells when it moves their
    # positions; what it left alone keeps the position -1, the spare one.
    update = operand(node, 1)
    attributes = {a.name: a.value for a in node.attributes.values()}
    along_past = op.node(
        "TensorScatter", [g, _zeros_like(op, update, g), *node.inputs[2:3]], 1, None, attributes
    )
    beyond = op("Expand", op.ints(-1), shape_value(op, first(node)))
    places = op.node("TensorScatter", [beyond, positions(op, update), *node.inputs[2:3]], 1, None, attributes)
    return along_past[0], scatter_back(op, update, places[0], g, spare=1)
