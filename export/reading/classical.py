"""Writes the operators of ai.onnx.ml, in which converters put linear models, as the standard's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.builder import Builder
from fluxpath.export.reading.ends import CLASSICAL
from fluxpath.export.rules import unsupported

_LARGEST = float(np.finfo(np.float32).max)


def write_out_classical(model: ir.Model) -> ir.Model:
    """Replace, in place, the operators of that domain that are in `_WRITTEN`; what they do is ONNX Runtime's.

    Nothing may be left that no output needs: labels as strings have no form in numbers.
    """
    graph = model.graph
    nodes = [n for n in graph if n.domain == CLASSICAL and n.op_type in _WRITTEN]
    op = Builder(graph)
    for node in nodes:
        count = len(graph)
        try:
            outputs = _WRITTEN[node.op_type](op, node)
        except ValueError as error:
            raise _refused(model, node, str(error)) from error
        added = list(graph)[count:]
        graph.remove(added)
        graph.insert_before(node, added)
        for old, new in zip(node.outputs, outputs, strict=False):
            name = old.name
            if new is None:
                if old.uses() or old.is_graph_output():
                    raise _refused(model, node, "gives labels as strings, which nothing differentiates")
                continue
            ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
            old.name, new.name = f"{name}/before", name
        graph.remove(node, safe=True)
    return model


def _refused(model: ir.Model, node: ir.Node, why: str) -> UnsupportedOperatorError:
    return unsupported(node, model.opset_imports.get(CLASSICAL, 0), why)


def _input(op: Builder, node: ir.Node) -> ir.Value:
    """The node's operand, in float32, which is what these operators compute in."""
    x = node.inputs[0]
    assert x is not None
    return (
        x
        if x.dtype == ir.DataType.FLOAT
        else op("Cast", x, to=int(ir.DataType.FLOAT), dtype=ir.DataType.FLOAT)
    )


def _floats(node: ir.Node, name: str) -> npt.NDArray[np.float32]:
    return np.asarray(node.attributes.get_floats(name, []), np.float32)


def _linear(op: Builder, node: ir.Node, rows: int) -> tuple[ir.Value, npt.NDArray[np.float32]]:
    """x W^T + b, and [W, b], of `rows` rows."""
    weights, bias = _floats(node, "coefficients"), _floats(node, "intercepts")
    if rows == 0 or weights.size % rows or bias.size not in (0, rows):
        raise ValueError(f"has {weights.size} coefficients and {bias.size} intercepts for {rows} rows")
    weights = weights.reshape(rows, -1)
    bias = bias if bias.size else np.zeros(rows, np.float32)
    z = op("Gemm", _input(op, node), op.constant(weights), op.constant(bias), transB=1)
    return z, np.concatenate([weights, bias[:, None]], axis=1)


def _transformed(op: Builder, z: ir.Value, transform: str) -> ir.Value:
    if transform == "NONE":
        return z
    if transform == "SOFTMAX":
        return op("Softmax", z, axis=1)
    if transform == "LOGISTIC":
        return op("Sigmoid", z)
    if transform == "SOFTMAX_ZERO":
        # What is zero stays zero, and the others share the whole.
        other = op("Greater", op("Abs", z), op.scalar(1e-7, z), dtype=ir.DataType.BOOL)
        return op("Softmax", op("Where", other, z, op.scalar(-_LARGEST, z), dtype=z.dtype), axis=1)
    raise ValueError(f"has the post_transform {transform}, which no operator of the standard computes")


def _classifier(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    transform = node.attributes.get_string("post_transform", "NONE")
    labels = list(node.attributes.get_ints("classlabels_ints", []))
    strings = node.attributes.get("classlabels_strings")
    classes = len(labels) or (len(strings.as_strings()) if strings is not None else 0)
    rows = _floats(node, "intercepts").size or classes
    z, own = _linear(op, node, rows)
    opposite = rows == 2 and (own[0] == -own[1]).all()
    if rows == 1 and classes == 2:
        if transform != "LOGISTIC":
            raise ValueError(
                f"has one row of coefficients for two classes and the post_transform {transform}, which "
                "runtimes read in different ways; write both rows"
            )
        z, opposite = op("Concat", op("Neg", z), z, axis=1), True
    if transform == "LOGISTIC" and opposite:
        # sigmoid(z) and sigmoid(-z) sum to one, and a softmax says so.
        scores = op("Softmax", op("Mul", z, op.scalar(0.5, z)), axis=1)
    else:
        scores = _transformed(op, z, transform)
    best = op("ArgMax", scores, axis=1, keepdims=0, dtype=ir.DataType.INT64)
    return [op("Gather", op.ints(labels), best) if labels else None, scores]


def _regressor(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    targets = node.attributes.get_int("targets", 1)
    transform = node.attributes.get_string("post_transform", "NONE")
    if targets == 1 and transform != "NONE":
        raise ValueError(
            f"has one target and the post_transform {transform}, which runtimes read in different ways"
        )
    return [_transformed(op, _linear(op, node, targets)[0], transform)]


def _scaler(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    x = _input(op, node)
    moved = op("Sub", x, op.constant(_floats(node, "offset")))
    return [op("Mul", moved, op.constant(_floats(node, "scale")))]


def _normalizer(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    x, norm = _input(op, node), node.attributes.get_string("norm", "MAX")
    producer = x.producer()
    if norm == "L1" and producer is not None and producer.op_type == "Softmax":
        return [op("Identity", x)]
    kind = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}[norm]
    divisor = op(kind, x, op.ints([1]), keepdims=1)
    zero = op("Equal", divisor, op.scalar(0.0, x), dtype=ir.DataType.BOOL)
    return [op("Div", x, op("Where", zero, op.scalar(1.0, x), divisor, dtype=x.dtype))]


def _binarizer(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    x = _input(op, node)
    above = op(
        "Greater", x, op.scalar(node.attributes.get_float("threshold", 0.0), x), dtype=ir.DataType.BOOL
    )
    return [op("Cast", above, to=int(ir.DataType.FLOAT), dtype=ir.DataType.FLOAT)]


def _imputer(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    values, wanted = (
        _floats(node, "imputed_value_floats"),
        node.attributes.get_float("replaced_value_float", 0.0),
    )
    if not values.size:
        raise ValueError("replaces integers")
    x = _input(op, node)
    missing = (
        op("IsNaN", x, dtype=ir.DataType.BOOL)
        if np.isnan(wanted)
        else op("Equal", x, op.scalar(wanted, x), dtype=ir.DataType.BOOL)
    )
    return [op("Where", missing, op.constant(values), x, dtype=x.dtype)]


def _extractor(op: Builder, node: ir.Node) -> list[ir.Value | None]:
    """Elements along the last axis, of which there is always a first one too."""
    x, places = node.inputs
    assert x is not None and places is not None
    table = op("Unsqueeze", x, op.ints([0])) if x.shape is not None and len(x.shape) == 1 else x
    return [op("Gather", table, op("Reshape", places, op.ints([-1]), dtype=places.dtype), axis=-1)]


_WRITTEN: dict[str, Callable[[Builder, ir.Node], list[ir.Value | None]]] = {
    "ArrayFeatureExtractor": _extractor,
    "Binarizer": _binarizer,
    "Imputer": _imputer,
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
}
