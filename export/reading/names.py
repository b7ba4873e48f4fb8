"""Keeps the names of a model's values apart from those that a gradient graph adds."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.reading.ends import OURS


def free_names(model: ir.Model) -> ir.Model:
    """Rename inner values that have one of our outputs' names; refuse inputs that do."""
    graph = model.graph
    for value in graph.inputs:
        if value.name in OURS:
            raise ModelError(
                f"the model has an input '{value.name}', a name that the gradient graph uses: rename it"
            )
    for node in graph:
        for value in node.outputs:
            if value.name in OURS:
                value.name = f"model/{value.name}"
    for name in OURS & set(graph.initializers):
        value = graph.initializers.pop(name)
        assert value.const_value is not None
        # The tensor is the source model's own, and that is read once more: it keeps its name.
        value.const_value = ir.tensor(value.const_value.numpy(), name=f"model/{name}")
        value.name = f"model/{name}"
        graph.register_initializer(value)
    return model
