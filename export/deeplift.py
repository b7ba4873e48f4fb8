"""DeepLIFT's rescale rule (Shrikumar, Greenside, Kundaje, ICML 2017) in place of derivatives.

The multipliers m of each operator satisfy m . (x - x0) = f(x) - f(x0) for the values x0 at the baseline,
so those of the input sum, times its difference, to the difference of the logit. The forward pass at the
baseline is a second copy of the model's nodes on a constant of batch one, which a runtime folds at load.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fluxpath.export import rules
from fluxpath.export.autodiff import Apply, Cotangents, apply_rule
from fluxpath.export.builder import Builder
from fluxpath.export.rules._scatter import scatter_back
from fluxpath.export.rules.activation import compare, first, where

KINKED = {"Relu", "LeakyRelu", "PRelu", "Clip", "HardSigmoid", "HardSwish", "Abs"}
SMOOTH = {"Sigmoid", "Tanh", "Elu", "Celu", "Selu", "Softplus", "Softsign", "Gelu", "Mish", "Swish", "Erf",
          "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh"}  # fmt: skip
LINEAR = {"Conv", "ConvTranspose", "Gemm", "Add", "Sub", "Sum", "Neg", "Mean", "Identity", "Dropout", "Cast",
          "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Reshape", "Flatten", "Transpose",
          "Concat", "Slice", "Split", "Squeeze", "Unsqueeze", "Pad", "Expand", "Gather", "Tile",
          "DepthToSpace", "SpaceToDepth", "Resize", "Where", "Div"}  # fmt: skip
PRODUCTS = {"Mul", "MatMul"}
SUMS = {"Add", "Sub", "Sum", "Mean", "Concat", "Where"}
"""Linear in all of their operands together; the other linear ones in the first alone."""

TINY, SMALL = 1e-6, 1e-3
"""Below these |x - x0| the derivative stands for the quotient. A kinked function's quotient is exact but
for the kink, so its bound is small. A smooth one's loses digits to cancellation well before: the mean of its
derivatives at both ends is within SMALL^2 of it."""


class Rescale:
    """The baseline's values of everything that depends on `x`, and the operators' multipliers by them."""

    def __init__(self, op: Builder, x: ir.Value, baseline: ir.Value) -> None:
        self._at_baseline = {x: baseline}
        self._nodes: dict[ir.Node, ir.Node] = {}
        for node in list(op.graph):
            # Sizes are those of the batch, or of the baseline's batch of one: neither changes a value.
            if any(v in self._at_baseline for v in node.inputs):
                self._copy(op, node)
        self._dependent = _dependent(op.graph, x)

    def _copy(self, op: Builder, node: ir.Node) -> None:
        inputs = [v if v is None else self._at_baseline.get(v, v) for v in node.inputs]
        outputs = op.node(node.op_type, inputs, len(node.outputs), None, _attributes(node))
        for value, copy in zip(node.outputs, outputs, strict=True):
            if value.dtype is not None:
                copy.dtype = value.dtype
            self._at_baseline[value] = copy
        copied = outputs[0].producer()
        assert copied is not None
        copied.domain = node.domain
        self._nodes[node] = copied

    def apply(self, op: Builder, node: ir.Node, g: Cotangents, opset: int) -> list[ir.Value | None]:
        """The multipliers of the node's inputs, given those of its outputs."""
        kind = node.op_type
        moving = [i for i, v in enumerate(node.inputs) if v in self._dependent]
        if kind in PRODUCTS:
            return apply_rule(op, self._midpoint(op, node), g, opset)
        if kind in LINEAR and (kind in SUMS or moving == [0]) and not (kind == "Where" and 0 in moving):
            return apply_rule(op, node, g, opset)
        if kind in ("Gemm",) and moving == [0, 2]:
            return apply_rule(op, node, g, opset)
        if moving == [0] and g[0] is not None:
            if kind in KINKED | SMOOTH:
                return [self._elementwise(op, node, g[0], opset)]
            if kind == "MaxPool" and all(c is None for c in g[1:]):
                return [self._max_pool(op, node, g[0], opset)]
        raise rules.unsupported(node, opset, "has no rescale rule for the inputs that depend on the image")

    def _difference(self, op: Builder, value: ir.Value) -> ir.Value:
        return op("Sub", value, self._at_baseline[value])

    def _midpoint(self, op: Builder, node: ir.Node) -> ir.Node:
        """ab - a0 b0 = (a - a0)(b + b0)/2 + (b - b0)(a + a0)/2: the product's rule at the operands' means."""
        means = []
        for value in node.inputs:
            assert value is not None
            mean = value
            if value in self._dependent:
                both = op("Add", value, self._at_baseline[value])
                mean = op("Mul", both, op.scalar(0.5, both))
                mean.shape = value.shape
            means.append(mean)
        product = op(node.op_type, *means)
        product.shape = node.outputs[0].shape
        made = product.producer()
        assert made is not None
        return made

    def _quotient(
        self, op: Builder, over: ir.Value, dx: ir.Value, near: ir.Value, slope: ir.Value
    ) -> ir.Value:
        """over / dx, and the slope where the difference is too small to divide by."""
        return where(op, near, slope, op("Div", over, where(op, near, op.scalar(1.0, dx), dx)))

    def _elementwise(self, op: Builder, node: ir.Node, g: ir.Value, opset: int) -> ir.Value:
        smooth = node.op_type in SMOOTH
        dx, dy = self._difference(op, first(node)), self._difference(op, node.outputs[0])
        near = compare(op, "Less", op("Abs", dx), op.scalar(SMALL if smooth else TINY, dx))
        slope = apply_rule(op, node, (g,), opset)[0]
        assert slope is not None
        if smooth:
            given = rules.find(node, opset).function(op, self._nodes[node], g)
            other = given if isinstance(given, ir.Value) else given[0]
            slope = op("Mul", op("Add", slope, other), op.scalar(0.5, slope))
        return self._quotient(op, op("Mul", g, dy), dx, near, slope)

    def _max_pool(self, op: Builder, node: ir.Node, g: ir.Value, opset: int) -> ir.Value:
        # A rise belongs to the place of the maximum at the input, a fall to that at the baseline.
        x, y = first(node), node.outputs[0]
        y0 = self._at_baseline[y]
        highest = op("Max", y, y0)
        attributes = {k: v for k, v in _attributes(node).items() if k != "storage_order"}
        # Indices count through the whole batch, so the baseline takes part once for every image.
        size = op("Shape", x, dtype=ir.DataType.INT64)
        repeated = op("Expand", self._at_baseline[x], size)
        parts = []
        for at, change in (
            (x, op("Sub", highest, y0)),
            (repeated, op("Sub", y, highest)),
        ):
            _, indices = op.node("MaxPool", [at], 2, None, attributes)
            indices.dtype, indices.shape = ir.DataType.INT64, y.shape
            parts.append(scatter_back(op, x, indices, op("Mul", g, change)))
        dx = self._difference(op, x)
        near = compare(op, "Less", op("Abs", dx), op.scalar(TINY, dx))
        slope = apply_rule(op, node, (g,), opset)[0]
        assert slope is not None
        return self._quotient(op, op("Add", *parts), dx, near, slope)


def rescale(op: Builder, x: ir.Value, baseline: ir.Value) -> Apply:
    """The rescale rule for `differentiate`; `baseline` is a constant of the shape of `x`, with batch one."""
    return Rescale(op, x, baseline).apply


def _dependent(graph: ir.Graph, x: ir.Value) -> set[ir.Value]:
    """What changes with the values of `x`, through comparisons too, but not with its sizes alone."""
    found = {x}
    for node in graph:
        if node.op_type not in ("Shape", "Size") and any(v in found for v in node.inputs):
            found.update(node.outputs)
    return found


def _attributes(node: ir.Node) -> dict[str, object]:
    attributes: Sequence[ir.Attr] = list(node.attributes.values())
    return {a.name: a.value for a in attributes}
