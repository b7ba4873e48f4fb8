"""The table of derivative rules: one function per operator, looked up by name and opset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.errors import UnsupportedOperatorError

Gradients = ir.Value | Sequence[ir.Value | None]
"""What a rule returns: the gradient of each input in order (None: no gradient), or that of input 0."""
RuleFunction = Callable[..., Gradients]


@dataclass(frozen=True)
class Rule:
    """A vector-Jacobian product.

    `function(op, node, g)` emits nodes with `op` and returns the gradients of the node's inputs, given
    the gradient `g` of its output 0 (with `all_outputs`, a tuple with the gradient of every output, None
    where there is none). With `broadcasts`, gradients come in the shape of the output and the driver
    sums them over broadcast axes.
    """

    op_type: str
    since: int
    function: RuleFunction
    broadcasts: bool
    all_outputs: bool


_RULES: dict[str, list[Rule]] = {}
_CUT: set[str] = set()


def rule(
    *op_types: str, since: int = 1, broadcasts: bool = False, all_outputs: bool = False
) -> Callable[[RuleFunction], RuleFunction]:
    """Register the decorated function for `op_types` of operator-set version `since` and later."""

    def register(function: RuleFunction) -> RuleFunction:
        for op_type in op_types:
            known = _RULES.get(op_type, [])
            if op_type in _CUT or any(r.since == since for r in known):
                raise ValueError(f"a rule for {op_type} since opset {since} is registered already")
            rules = [*known, Rule(op_type, since, function, broadcasts, all_outputs)]
            _RULES[op_type] = sorted(rules, key=lambda r: r.since)  # a refused one leaves no trace
        return function

    return register


def cut(*op_types: str) -> None:
    """Register operators whose outputs do not carry a gradient (integers, booleans, step functions)."""
    for op_type in op_types:
        if op_type in _CUT or op_type in _RULES:
            raise ValueError(f"{op_type} is registered already")
        _CUT.add(op_type)


def is_cut(node: ir.Node) -> bool:
    """Whether no gradient flows through `node` by the operator's nature."""
    return node.domain == "" and node.op_type in _CUT


def find(node: ir.Node, opset: int) -> Rule:
    """The newest rule for `node` that the model's `opset` reaches; UnsupportedOperatorError if none."""
    rules = [r for r in _RULES.get(node.op_type, []) if r.since <= opset] if node.domain == "" else []
    if rules:
        return rules[-1]
    raise unsupported(node, opset, "has no derivative rule")


def unsupported(node: ir.Node, opset: int, why: str) -> UnsupportedOperatorError:
    """The error for `node`, with everything that finds it in the model."""
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return UnsupportedOperatorError(
        f"operator {operator} (opset {opset}) of node '{node.name}' {why}: {_advice(node)}"
    )


def _advice(node: ir.Node) -> str:
    name = node.op_type
    if "quantize" in name.lower() or "Integer" in name or name.startswith("QLinear"):
        return (
            "the model is quantised, and integers have no derivative; export the float model it was made of"
        )
    if node.domain == "com.microsoft":
        return "it is one of ONNX Runtime's own; take the model as it was before ONNX Runtime optimized it"
    return (
        f"rewrite that part of the model with supported operators ({len(_RULES)} are; "
        "fluxpath.export.supported_operators() lists them)"
    )


def supported_operators() -> tuple[str, ...]:
    """The names of all operators with a derivative rule, sorted."""
    return tuple(sorted(_RULES))
