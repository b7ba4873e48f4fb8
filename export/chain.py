"""Rewrites of a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

Pass = Callable[[ir.Model], ir.Model]
"""A rewrite of a model, in place or not: what it was given is used up."""


def applied(model: ir.Model, passes: Iterable[Pass | ir.passes.PassBase]) -> ir.Model:
    """The model after these passes, ours and onnx_ir's own."""
    for step in passes:
        done = step(model)
        model = done.model if isinstance(done, ir.passes.PassResult) else done
    return model
