"""Removes Identity nodes, except where the copy itself is what a branch returns."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common

_KEPT = "fluxpath.kept"


def eliminate_identities(model: ir.Model) -> ir.Model:
    """onnx-ir's pass, which would make a value of the outer graph the output of a branch, and fail."""
    kept = [
        node
        for node in ir.traversal.RecursiveGraphIterator(model.graph)
        if node.op_type == "Identity"
        and not node.domain
        and node.graph is not model.graph
        and node.outputs[0].is_graph_output()
    ]
    for node in kept:
        node.domain = _KEPT
    model = common.IdentityEliminationPass()(model).model
    for node in kept:
        node.domain = ""
    return model
