"""A model in float64, for the reference evaluator."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from fluxpath.export.reference import OPERATORS
from fluxpath.export.verification.running import Evaluate

_TO_DOUBLE = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def in_float64(model: ir.Model) -> Evaluate:
    """Runs `model` (changed in place), fed as usual, with every number in float64.

    The standard's evaluator keeps all values of a run, 0.6 GB per row of a ViT-B; here each goes after its
    last use.
    """
    names = [str(v.name) for v in model.graph.outputs]
    _widen(model)
    # Given by hand, because a protobuf would hold them a second time.
    given = model.graph.initializers.items()
    weights = {name: v.const_value.numpy() for name, v in given if v.const_value is not None}
    model.graph.initializers.clear()
    nodes = ReferenceEvaluator(ir.to_proto(model), new_ops=list(OPERATORS)).rt_nodes_
    spent = _spent(nodes, {*names, *weights, ""})

    def evaluate(feeds: dict[str, Any]) -> dict[str, Any]:
        wide = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in feeds.items()}
        known = {"": None, **weights, **wide}
        for node, gone in zip(nodes, spent, strict=True):
            inputs = [known[name] for name in node.input]
            within = {"context": known} if node.need_context() else {}
            known.update(zip(node.output, node.run(*inputs, **within), strict=False))
            for name in gone:
                known.pop(name, None)
        return {name: known[name] for name in names}

    return evaluate


def _spent(nodes: Sequence[Any], kept: Collection[str]) -> list[list[str]]:
    """For each node, the values that no later one needs; none where graphs within nodes may need any."""
    if any(node.need_context() for node in nodes):
        return [[] for _ in nodes]
    seen, spent = set(kept), []
    for node in reversed(nodes):
        spent.append([name for name in {*node.input, *node.output} if name not in seen])
        seen |= {*node.input, *node.output}
    return spent[::-1]


def to_float64(model: ir.Model) -> onnx.ModelProto:
    """`model` (changed in place) with every floating type widened to float64, as a protobuf."""
    _widen(model)
    return ir.to_proto(model)


def _widen(model: ir.Model) -> None:
    for value in list(model.graph.initializers.values()):
        if value.dtype in _TO_DOUBLE and value.const_value is not None:
            wide = ir.tensor(value.const_value.numpy().astype(np.float64), name=value.name)
            value.const_value = wide
            value.dtype = ir.DataType.DOUBLE
    for value in model.graph.inputs:
        if value.dtype in _TO_DOUBLE:
            value.dtype = ir.DataType.DOUBLE
    for node in model.graph:
        for output in node.outputs:
            if output.dtype in _TO_DOUBLE:
                output.dtype = ir.DataType.DOUBLE
        for name in ("to", "dtype"):
            kind = node.attributes.get(name)
            if kind is not None and ir.DataType(kind.as_int()) in _TO_DOUBLE:
                node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.DOUBLE))
        if node.op_type in ("Constant", "ConstantOfShape"):
            _widen_constant(node)


def _widen_constant(node: ir.Node) -> None:
    given = node.attributes.get("value")
    for name in ("value_float", "value_floats"):
        given = node.attributes.pop(name, given)
    if given is None and node.op_type == "ConstantOfShape":
        wide = np.zeros(1)
    elif given is not None and given.type != ir.AttributeType.TENSOR:
        wide = np.asarray(given.value, np.float64)
    elif given is not None and given.as_tensor().dtype in _TO_DOUBLE:
        wide = given.as_tensor().numpy().astype(np.float64)
    else:
        return
    node.attributes["value"] = ir.AttrTensor("value", ir.tensor(wide))
