"""Where a finite value has an infinite slope, or a small one a huge slope."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import constant_of

_STEEP = {"Acos", "Acosh", "Asin", "Atanh", "Log", "Reciprocal", "ReduceLogSum", "Sqrt"}


def steep(node: ir.Node) -> bool:
    """Whether the derivative of `node` may be infinite: of a root at 0, for one, as in a norm of zeros."""
    if node.op_type == "Div":
        return constant_of(node.inputs[1]) is None
    if node.op_type == "Pow":
        exponent = constant_of(node.inputs[1])
        return exponent is None or bool((exponent < 1).any())
    return node.op_type in _STEEP
