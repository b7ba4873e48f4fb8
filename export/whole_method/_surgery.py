"""Moves a gradient graph's parts between the loop's body and the graph around it."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from fluxpath.errors import ModelError

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def hoist(body: ir.Graph, graph: ir.Graph, varying: set[ir.Value]) -> None:
    """Move the initializers, and the nodes that depend on none of the `varying` values, out of the body."""
    for name in list(body.initializers):
        graph.register_initializer(body.initializers.pop(name))
    for node in list(body):
        # A subgraph may read what the node's inputs do not tell; a node without inputs may draw at random.
        plain = node.inputs and not any(a.type in _GRAPHS for a in node.attributes.values())
        if plain and not any(v in varying for v in node.inputs):
            body.remove(node)
            graph.append(node)
        else:
            varying.update(node.outputs)


def bring_out_constants(body: ir.Graph, graph: ir.Graph) -> None:
    """The body's constants into the graph around it; all that stays gets a name that is not used there."""
    for value in [*body.inputs, *(v for node in body for v in node.outputs)]:
        value.name = f"loop/{value.name}"
    for name in list(body.initializers):
        value = body.initializers.pop(name)
        value.name = f"loop/{name}"
        graph.register_initializer(value)


def free_names(graph: ir.Graph, ours: Collection[str]) -> None:
    """Rename the model's values that have a name of the file's own inputs and outputs."""
    for name in set(graph.initializers).intersection(ours):
        value = graph.initializers.pop(name)
        value.name = f"model/{name}"
        graph.register_initializer(value)
    for value in (v for node in graph for v in node.outputs):
        if value.name in ours:
            value.name = f"model/{value.name}"


def check_inputs(graph: ir.Graph, outputs: Collection[str]) -> None:
    """ModelError where the model's own inputs are called as the file's further inputs or outputs."""
    names = [str(v.name) for v in graph.inputs]
    for name in names:
        if name in outputs or names.count(name) > 1:
            raise ModelError(f"the model has an input '{name}', a name that the file uses itself: rename it")
