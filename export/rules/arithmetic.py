"""Element-wise arithmetic with broadcasting."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, cut, rule

# Integers, booleans and step functions: their derivative is zero wherever it exists.
cut("Shape", "Size", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or", "Xor")
cut("IsNaN", "IsInf", "ArgMax", "ArgMin", "NonZero", "Range", "ConstantOfShape", "EyeLike")
cut("Floor", "Ceil", "Round", "Sign")


@rule("Identity", "Dropout")
def identity(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return g


@rule("Cast")
def cast(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = node.inputs[0]
    assert x is not None and x.dtype is not None
    return op("Cast", g, to=int(x.dtype), dtype=x.dtype)


@rule("Neg")
def neg(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Neg", g)


@rule("Add", broadcasts=True)
def add(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return g, g


@rule("Sub", broadcasts=True)
def sub(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return g, op("Neg", g)


@rule("Mul", broadcasts=True)
def mul(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    a, b = node.inputs
    return op("Mul", g, b), op("Mul", g, a)


@rule("Div", broadcasts=True)
def div(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    b = node.inputs[1]
    along_a = op("Div", g, b)
    return along_a, op("Neg", op("Mul", along_a, node.outputs[0]))


@rule("Sum", broadcasts=True)
def sum_of(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return [g] * len(node.inputs)
