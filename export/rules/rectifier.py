"""Rectifiers with parameters and the smooth ones. At a kink the derivative is PyTorch's."""

from __future__ import annotations

import math

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import compare, complement, first, where


def _positive(op: Builder, x: ir.Value) -> ir.Value:
    return compare(op, "Greater", x, op.scalar(0.0, x))


@rule("PRelu", broadcasts=True)
def prelu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, slope = first(node), node.inputs[1]
    along_slope = op("Mul", g, op("Min", x, op.scalar(0.0, x)))
    return where(op, _positive(op, x), g, op("Mul", g, slope)), along_slope


@rule("Elu")
def elu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # For x <= 0, y + alpha = alpha exp(x) is the slope.
    alpha, y = node.attributes.get_float("alpha", 1.0), node.outputs[0]
    below = op("Mul", g, op("Add", y, op.scalar(alpha, y)))
    return where(op, _positive(op, first(node)), g, below)


@rule("Celu")
def celu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    alpha, y = node.attributes.get_float("alpha", 1.0), node.outputs[0]
    slope = op("Add", y, op.scalar(alpha, y))
    if alpha != 1.0:
        slope = op("Mul", slope, op.scalar(1 / alpha, y))
    return where(op, _positive(op, first(node)), g, op("Mul", g, slope))


@rule("Selu")
def selu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    y = node.outputs[0]
    alpha = node.attributes.get_float("alpha", 1.67326319217681884765625)
    gamma = node.attributes.get_float("gamma", 1.05070102214813232421875)
    below = op("Add", y, op.scalar(alpha * gamma, y))
    return op("Mul", g, where(op, _positive(op, first(node)), op.scalar(gamma, y), below))


@rule("ThresholdedRelu")
def thresholded_relu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    above = compare(op, "Greater", x, op.scalar(node.attributes.get_float("alpha", 1.0), x))
    return where(op, above, g, op.scalar(0.0, g))


@rule("Shrink")
def shrink(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    outside = compare(op, "Greater", op("Abs", x), op.scalar(node.attributes.get_float("lambd", 0.5), x))
    return where(op, outside, g, op.scalar(0.0, g))


@rule("Softplus")
def softplus(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Mul", g, op("Sigmoid", first(node)))


@rule("Mish")
def mish(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # y = x t with t = tanh(softplus(x)); t' = (1 - t^2) sigmoid(x), and x (1 - t^2) = x - y t.
    x, y = first(node), node.outputs[0]
    t = op("Tanh", op("Softplus", x))
    bend = op("Mul", op("Sub", x, op("Mul", y, t)), op("Sigmoid", x))
    return op("Mul", g, op("Add", t, bend))


def _swish_slope(op: Builder, y: ir.Value, gate: ir.Value, alpha: float) -> ir.Value:
    """The derivative of y = x s with the gate s = sigmoid(alpha x): s + alpha y (1 - s)."""
    bend = op("Mul", y, complement(op, gate))
    return op("Add", gate, _scaled(op, bend, alpha))


def _scaled(op: Builder, x: ir.Value, factor: float) -> ir.Value:
    return x if factor == 1.0 else op("Mul", x, op.scalar(factor, x))


@rule("Swish")
def swish(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    alpha = node.attributes.get_float("alpha", 1.0)
    gate = op("Sigmoid", _scaled(op, first(node), alpha))
    return op("Mul", g, _swish_slope(op, node.outputs[0], gate, alpha))


@rule("SwiGLU")
def swiglu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    a, b = first(node), node.inputs[1]
    alpha = node.attributes.get_float("alpha", 1.0)
    gate = op("Sigmoid", _scaled(op, a, alpha))
    gated = op("Mul", a, gate)
    return op("Mul", op("Mul", g, b), _swish_slope(op, gated, gate, alpha)), op("Mul", g, gated)


@rule("Gelu")
def gelu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    tanh = node.attributes.get_string("approximate", "none") == "tanh"
    return op("Mul", g, (_gelu_tanh_slope if tanh else _gelu_slope)(op, first(node), node.outputs[0]))


def _gelu_slope(op: Builder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Phi(x) + x phi(x), with the normal distribution's Phi and its density phi.

    HardSigmoid is the affine map of erf onto [0, 1] in one node. With w = x / sqrt(2 pi), x phi(x) is
    w exp(-pi w^2): the density's factor costs nothing.
    """
    cumulative = op("Erf", op("Mul", x, op.scalar(math.sqrt(0.5), x)))
    cumulative = op("HardSigmoid", cumulative, alpha=0.5, beta=0.5)
    w = op("Mul", x, op.scalar(1 / math.sqrt(2 * math.pi), x))
    bell = op("Exp", op("Mul", op("Mul", w, w), op.scalar(-math.pi, w)))
    return op("Add", cumulative, op("Mul", w, bell))


def _gelu_tanh_slope(op: Builder, x: ir.Value, y: ir.Value) -> ir.Value:
    """s + y (1 - s) v'(x): the approximation is y = x s with s = sigmoid(v), v = c (x + 0.044715 x^3)."""
    c = 2 * math.sqrt(2 / math.pi)
    # Beyond 10 the gate is shut or open, and half precision has no larger squares for long.
    square = op("Min", op("Mul", x, x), op.scalar(100.0, x))
    inner = op("Add", op("Mul", square, op.scalar(c * 0.044715, x)), op.scalar(c, x))
    outer = op("Add", op("Mul", square, op.scalar(3 * c * 0.044715, x)), op.scalar(c, x))
    gate = op("Sigmoid", op("Mul", x, inner))
    bend = op("Mul", op("Sub", y, op("Mul", y, gate)), outer)
    return op("Add", gate, bend)
