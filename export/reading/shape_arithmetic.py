"""Computes the shape arithmetic of a graph at export, as far as sizes are known there.

Exporters write shapes as operators on Shape. Shape inference follows these where it sizes a value by
them, but leaves them in the graph, and gives up where an operator such as Split takes them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath.export.builder import constant_of, dims, initializer
from fluxpath.export.reading.constants import run_node
from fluxpath.export.reading.inference import forget_invented, infer_shapes

_LARGEST = 64
"""Arrays of more elements are data, not shapes."""

_INTEGERS = {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL}
_BY_ENTRY = {"Add", "Concat", "Gather", "Identity", "Mul", "Slice", "Squeeze", "Sub", "Unsqueeze"}
"""Entries of their results that do not depend on an unknown size are known."""
_OF_FIRST = {"Gather", "Slice", "Squeeze", "Unsqueeze"}
"""Only the first operand of these may have unknown entries, because the others say what is read."""
_WHOLE = {"Abs", "And", "Cast", "ConstantOfShape", "Div", "Equal", "Expand", "Greater", "GreaterOrEqual"}
_WHOLE |= {"Less", "LessOrEqual", "Max", "Min", "Mod", "Neg", "Not", "Or", "ReduceMax", "ReduceMin"}
_WHOLE |= {"ReduceProd", "ReduceSum", "Reshape", "Transpose", "Where"}
"""These are computed if everything in them is known."""
_STAND_INS = ((10007, 13), (20011, 17))
"""Two series of values for unknown sizes: what comes out the same with both does not depend on them."""


class _Partial:
    """An array of integers, some of them unknown sizes."""

    def __init__(self, array: npt.NDArray[np.generic], unknown: npt.NDArray[np.bool_] | None = None) -> None:
        self.array = array
        self.unknown = np.zeros(array.shape, bool) if unknown is None else unknown

    @property
    def complete(self) -> bool:
        return not self.unknown.any()

    def filled(self, first: int, step: int) -> npt.NDArray[np.generic]:
        if self.complete:
            return self.array
        each = (first + step * np.arange(self.array.size)).reshape(self.array.shape)
        return np.where(self.unknown, each, self.array).astype(self.array.dtype)


def fold_shapes(model: ir.Model) -> ir.Model:
    """Replace integers that are known by constants, and infer the shapes that these tell.

    Shapes must have been inferred, with the batch dynamic, or else the given one would become fixed.
    """
    while _fold(model):
        model = infer_shapes(forget_invented(common.RemoveUnusedNodesPass()(model).model))
    return model


def _fold(model: ir.Model) -> bool:
    """Replace what is known now, in place; returns whether there was anything to replace."""
    graph = model.graph
    known: dict[ir.Value, _Partial] = {}
    folded = False
    for node in list(graph):
        if node.domain or len(node.outputs) != 1:
            continue
        (output,) = node.outputs
        found = _shape(node) if node.op_type == "Shape" else _computed(node, known, model)
        if found is None or found.array.size > _LARGEST:
            continue
        known[output] = found
        if found.complete and not output.is_graph_output():
            _replace(graph, node, found.array)
            folded = True
    return folded


def _shape(node: ir.Node) -> _Partial | None:
    x = node.inputs[0]
    if x is None or x.shape is None:
        return None
    given = dims(x)[node.attributes.get_int("start", 0) : node.attributes.get_int("end")]
    unknown = np.array([not isinstance(d, int) for d in given], bool)
    return _Partial(np.array([d if isinstance(d, int) else 0 for d in given], np.int64), unknown)


def _computed(node: ir.Node, known: dict[ir.Value, _Partial], model: ir.Model) -> _Partial | None:
    operands = [_operand(v, known) for v in node.inputs if v is not None]
    given = [p for p in operands if p is not None]
    if len(given) < len(operands) or not given:
        return None
    if all(p.complete for p in given):
        array = _run(node, [p.array for p in given], model) if node.op_type in _BY_ENTRY | _WHOLE else None
        return _Partial(array) if array is not None and array.dtype.kind in "ib" else None
    if node.op_type not in _BY_ENTRY:
        return None
    if node.op_type in _OF_FIRST and not all(p.complete for p in given[1:]):
        return None
    # No two unknown entries may look alike, so each operand's begin where the one before ended.
    one, other = (
        _run(node, [p.filled(first + _LARGEST * step * i, step) for i, p in enumerate(given)], model)
        for first, step in _STAND_INS
    )
    return None if one is None or other is None else _Partial(one, one != other)


def _operand(value: ir.Value, known: dict[ir.Value, _Partial]) -> _Partial | None:
    if value in known:
        return known[value]
    if value.dtype not in _INTEGERS:
        return None
    constant = constant_of(value)
    return _Partial(constant) if constant is not None and constant.size <= _LARGEST else None


def _run(
    node: ir.Node, arrays: list[npt.NDArray[np.generic]], model: ir.Model
) -> npt.NDArray[np.generic] | None:
    results = run_node(node, arrays, int(model.opset_imports.get("", 0)), _LARGEST)
    return None if results is None else np.asarray(results[0])


def _replace(graph: ir.Graph, node: ir.Node, array: npt.NDArray[np.generic]) -> None:
    (output,) = node.outputs
    name = output.name
    ir.convenience.replace_all_uses_with(output, initializer(graph, f"{name}/known", array))
    graph.remove(node, safe=True)
