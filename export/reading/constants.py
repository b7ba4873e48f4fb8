"""Computes what a graph makes of constants alone, and takes the branch that a constant condition chooses.

Converters leave weights behind Cast, Identity, ConstantOfShape or a normalisation of their own. Later steps
ask for constants, and a BatchNormalization of weights is none of the model's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from fluxpath.export.builder import constant_of, initializer

Array = npt.NDArray[Any]

_LARGEST = 2**22
"""A result with more elements stays a node where it would be larger than what it is made of."""

_SIZES = 64
"""Arrays of more elements are no sizes of another."""

_FOLDED = {
    *("Abs", "Add", "And", "BatchNormalization", "Cast", "Concat", "ConstantOfShape", "DequantizeLinear"),
    *("Div", "Equal", "Exp", "Expand", "Flatten", "Gather", "Greater", "GreaterOrEqual", "Identity"),
    *("InstanceNormalization", "Less", "LessOrEqual", "Log", "MatMul", "Mul", "Neg", "Not", "Or", "Pow"),
    *("Reciprocal", "ReduceL2", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"),
    *("ReduceSumSquare", "Reshape", "Shape", "Size", "Slice", "Sqrt", "Squeeze", "Sub", "Sum", "Transpose"),
    *("Unsqueeze", "Where"),
}


def fold_constants(model: ir.Model) -> ir.Model:
    """Replace, in place, what depends on constants only by its value; then choose branches by it."""
    _fold(model)
    while _take_branches(model.graph):
        _fold(model)
    return model


def _fold(model: ir.Model) -> None:
    graph = model.graph
    for node in list(graph):
        if node.domain or node.op_type not in _FOLDED or any(v.is_graph_output() for v in node.outputs):
            continue
        arrays = [constant_of(v) for v in node.inputs if v is not None]
        given = [a for a in arrays if a is not None]
        if not given or len(given) < len(arrays):
            continue
        largest = max(_LARGEST, *(a.size for a in given))
        results = run_node(node, given, int(model.opset_imports.get("", 0)), largest)
        if results is None or not all(_is_array(a) for a in results):
            continue
        for output, array in zip(node.outputs, results, strict=True):
            value = initializer(graph, f"{output.name}/known", array)
            ir.convenience.replace_all_uses_with(output, value)
        graph.remove(node, safe=True)


def _is_array(result: Any) -> bool:
    return isinstance(result, np.ndarray | np.generic) and np.asarray(result).dtype.kind in "fiub"


def run_node(node: ir.Node, arrays: Sequence[Array], opset: int, largest: int) -> list[Array] | None:
    """The results of one node by the reference evaluator.

    None where that cannot compute it, or where a result has more than `largest` elements: then no memory is
    taken for it.
    """
    proto = ir.to_proto(node)
    names = [n for n in proto.input if n]
    feeds: dict[str, Any] = dict(zip(names, arrays, strict=True))
    try:
        if _most_elements(proto, feeds, opset) > largest:
            return None
        inputs = [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in feeds.items()
        ]
        ends = [onnx.helper.make_empty_tensor_value_info(n) for n in proto.output]
        graph = onnx.helper.make_graph([proto], "constants", inputs, ends)
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        with np.errstate(all="ignore"):
            results: Any = ReferenceEvaluator(made).run(None, feeds)
    except Exception:  # whatever a kernel raises: the node stays in the graph, where it was
        return None
    return [np.asarray(r) if isinstance(r, np.generic) else r for r in results]


def _most_elements(proto: onnx.NodeProto, feeds: dict[str, Array], opset: int) -> float:
    """How many elements the largest result has, by the standard's shape inference."""
    types = {
        name: onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feeds.items()
    }
    small = {n: onnx.numpy_helper.from_array(a, n) for n, a in feeds.items() if a.size <= _SIZES}
    schema = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
    found = onnx.shape_inference.infer_node_outputs(
        schema, proto, types, small, opset_imports=[onnx.helper.make_opsetid("", opset)]
    )
    shapes = [t.tensor_type.shape.dim for t in found.values() if t.HasField("tensor_type")]
    return max((float(np.prod([float(d.dim_value) for d in dims])) for dims in shapes), default=0.0)


def _take_branches(graph: ir.Graph) -> bool:
    """Put the nodes of the chosen branch in the place of every If whose condition is known."""
    taken = False
    for node in list(graph):
        known = constant_of(node.inputs[0]) if node.op_type == "If" and not node.domain else None
        if known is None or known.size != 1:
            continue
        attribute = node.attributes["then_branch" if bool(known.reshape(())) else "else_branch"]
        _put_in_place(graph, node, attribute.as_graph())
        taken = True
    return taken


def _put_in_place(graph: ir.Graph, node: ir.Node, branch: ir.Graph) -> None:
    ends = list(branch.outputs)
    branch.outputs.clear()
    used = {*graph.initializers, *(str(v.name) for n in graph for v in n.outputs)}
    for name, value in list(branch.initializers.items()):
        branch.initializers.pop(name)
        if name in used:
            value.name = f"{node.name}/{name}"
        graph.register_initializer(value)
    inner = list(branch)
    branch.remove(inner)
    for index, part in enumerate(inner):
        part.name = f"{node.outputs[0].name}/branch_{index}"
        for value in part.outputs:
            if value.name in used:
                value.name = f"{node.name}/{value.name}"
    graph.insert_before(node, inner)
    for output, end in zip(node.outputs, ends, strict=True):
        copy = ir.Node("", "Identity", [end])
        graph.insert_before(node, copy)
        made, name = copy.outputs[0], str(output.name)
        made.type, made.shape = output.type, output.shape
        ir.convenience.replace_all_uses_with(output, made, replace_graph_outputs=True)
        output.name, made.name = f"{name}/chosen", name
    graph.remove(node, safe=True)
