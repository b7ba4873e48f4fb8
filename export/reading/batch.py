"""Makes a batch that was fixed at export dynamic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.builder import constant_of, initializer
from fluxpath.export.reading.classifier import explained_input, forget_shapes

_BROADCASTING = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where"}


def make_batch_dynamic(model: ir.Model, input_name: str | None) -> ir.Model:
    """Give the input a symbolic first dimension, before shapes are inferred."""
    x = explained_input(model, input_name)
    if x.shape is None or len(x.shape) < 2:
        raise ModelError(f"input '{x.name}' must have a batch and at least one more dimension")
    fixed = x.shape[0]
    if not isinstance(fixed, int):
        return model
    for value in model.graph.inputs:
        if value.shape is not None and len(value.shape) and value.shape[0] == fixed:
            value.shape = ir.Shape(["batch", *list(value.shape)[1:]])
    moving = {x}
    for node in list(model.graph):
        if any(v in moving for v in node.inputs):
            moving.update(node.outputs)
            _free(model.graph, node, fixed, moving)
    forget_shapes(model)
    return model


def _free(graph: ir.Graph, node: ir.Node, batch: int, moving: set[ir.Value]) -> None:
    """Let `node` take any number of rows where its constants hold exactly `batch` of them."""
    if node.op_type == "Reshape":
        # Zero copies the input's first dimension.
        _free_shape(graph, node, batch, 0)
        node.attributes.pop("allowzero", None)
    elif node.op_type == "Expand":
        _free_shape(graph, node, batch, 1)
    elif node.op_type == "Concat" and node.attributes.get_int("axis", 0) != 0:
        for place, value in enumerate(node.inputs):
            row = None if value in moving else _row(value, batch)
            if row is not None:
                like = next(v for v in node.inputs if v in moving)
                node.replace_input_with(place, _repeated(graph, node, place, row, like))
    elif node.op_type in _BROADCASTING and batch > 1:
        for place, value in enumerate(node.inputs):
            row = None if value in moving else _row(value, batch)
            if row is not None:
                name = f"fluxpath/row_{place}/{node.name}"
                node.replace_input_with(place, initializer(graph, name, row))


def _free_shape(graph: ir.Graph, node: ir.Node, batch: int, first: int) -> None:
    """A constant shape that begins with the fixed batch begins with `first` instead."""
    shape = constant_of(node.inputs[1])
    if shape is None or shape.size == 0 or int(shape[0]) != batch:
        return
    name = f"fluxpath/free_shape/{node.name}"
    freed = initializer(graph, name, np.concatenate([[first], shape[1:]]).astype(np.int64))
    node.replace_input_with(1, freed)


def _row(value: ir.Value | None, batch: int) -> npt.NDArray[np.generic] | None:
    """The one row [1, ...] that a constant repeats `batch` times, as an exporter folds a class token."""
    array = constant_of(value)
    if array is None or array.ndim < 2 or len(array) != batch or not (array == array[:1]).all():
        return None
    return array[:1]


def _repeated(
    graph: ir.Graph, node: ir.Node, place: int, row: npt.NDArray[np.generic], like: ir.Value
) -> ir.Value:
    """`row` as often as `like` has rows."""
    stem = f"fluxpath/rows_{place}/{node.name}"
    constant = initializer(graph, f"{stem}/row", row)
    ones = initializer(graph, f"{stem}/ones", np.ones(row.ndim - 1, np.int64))
    ends = [ir.AttrInt64("start", 0), ir.AttrInt64("end", 1)]
    count = ir.Node("", "Shape", [like], ends, name=f"{stem}/count")
    shape = ir.Node("", "Concat", [count.outputs[0], ones], [ir.AttrInt64("axis", 0)], name=f"{stem}/shape")
    rows = ir.Node("", "Expand", [constant, shape.outputs[0]], name=stem)
    for made in (count, shape, rows):
        made.outputs[0].name = made.name
    graph.insert_before(node, [count, shape, rows])
    return rows.outputs[0]
