"""Matrix products."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, Dim, dims, reduce_to
from fluxpath.export.rules._constants import apart
from fluxpath.export.rules._registry import Gradients, rule


def transposed(op: Builder, value: ir.Value, rank: int) -> ir.Value:
    """`value` with its last two axes swapped."""
    return op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


def _again(op: Builder, value: ir.Value, sizes: list[Dim]) -> ir.Value:
    """An operand of those sizes as the backward pass reads it; see `apart`."""
    return apart(op, value) if sizes[-1] == sizes[-2] else value


def _scaled(op: Builder, value: ir.Value, factor: float) -> ir.Value:
    return value if factor == 1.0 else op("Mul", value, op.scalar(factor, value))


@rule("Gemm")
def gemm(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    a, b = node.inputs[:2]
    assert a is not None and b is not None
    a, b = _again(op, a, dims(a)), _again(op, b, dims(b))
    alpha, beta = node.attributes.get_float("alpha", 1.0), node.attributes.get_float("beta", 1.0)
    ta, tb = node.attributes.get_int("transA", 0), node.attributes.get_int("transB", 0)
    along_a = (
        op("Gemm", b, g, transA=tb, transB=1, alpha=alpha)
        if ta
        else op("Gemm", g, b, transB=1 - tb, alpha=alpha)
    )
    along_b = (
        op("Gemm", g, a, transA=1, transB=ta, alpha=alpha)
        if tb
        else op("Gemm", a, g, transA=1 - ta, alpha=alpha)
    )
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return along_a, along_b
    along_c = reduce_to(op, _scaled(op, g, beta), dims(node.outputs[0]), node.inputs[2])
    return along_a, along_b, along_c


@rule("MatMul")
def matmul(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    a, b = node.inputs
    assert a is not None and b is not None
    shape_a, shape_b = dims(a), dims(b)
    batch = dims(node.outputs[0])
    batch = batch[: len(batch) - (len(shape_a) > 1) - (len(shape_b) > 1)]
    # A vector takes part as a matrix with one row (a) or one column (b).
    row, column = len(shape_a) == 1, len(shape_b) == 1
    matrix_a = op("Unsqueeze", a, op.ints([0])) if row else a
    matrix_b = op("Unsqueeze", b, op.ints([1])) if column else b
    g = op("Unsqueeze", g, op.ints([-1])) if column else g
    g = op("Unsqueeze", g, op.ints([-2])) if row else g
    full_a: list[Dim] = [1, *shape_a] if row else shape_a
    full_b: list[Dim] = [*shape_b, 1] if column else shape_b
    along_a = op("MatMul", g, transposed(op, _again(op, matrix_b, full_b), len(full_b)))
    along_b = op("MatMul", transposed(op, _again(op, matrix_a, full_a), len(full_a)), g)
    return (
        _back(op, along_a, [*batch, *full_a[-2:]], a, -2 if row else None),
        _back(op, along_b, [*batch, *full_b[-2:]], b, -1 if column else None),
    )


def _back(op: Builder, g: ir.Value, shape: list[Dim], x: ir.Value, vector: int | None) -> ir.Value:
    """Drop the axis that made a matrix of a vector, then sum over broadcast batch axes."""
    if vector is not None:
        g = op("Squeeze", g, op.ints([vector]))
        del shape[vector]
    return reduce_to(op, g, shape, x)
