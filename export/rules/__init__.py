"""Derivative rules, one file a family of operators; importing this package registers them all."""

from fluxpath.export.rules import (
    activation,
    arithmetic,
    convolution,
    linear,
    movement,
    pooling,
    reduction,
)
from fluxpath.export.rules._registry import Rule, find, is_cut, rule, supported_operators, unsupported

__all__ = [
    "Rule",
    "activation",
    "arithmetic",
    "convolution",
    "find",
    "is_cut",
    "linear",
    "movement",
    "pooling",
    "reduction",
    "rule",
    "supported_operators",
    "unsupported",
]
