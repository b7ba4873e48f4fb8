"""Padding: the gradient of what was added goes to where it was copied from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import fold, positions, scatter_back
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.movement import pad_axis

_NUMPY_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


@rule("Pad", since=11)
def pad(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    mode = node.attributes.get_string("mode", "constant")
    x = first(node)
    rank = len(dims(x))
    given = [*node.inputs, None, None][1:4]
    pads, axes = constant_of(given[0]), constant_of(given[2])
    if pads is None or (given[2] is not None and axes is None):
        # Negative pads take away what positive ones added.
        if mode == "constant":
            return op("Pad", g, op("Neg", given[0]), None, *given[2:])
        return _at_run_time(op, node, g, mode)
    where = [int(a) % rank for a in axes] if axes is not None else list(range(rank))
    result, half = g, len(where)
    for axis, low, high in zip(where, pads[:half].tolist(), pads[half:].tolist(), strict=True):
        if mode == "constant":
            result = _trimmed(op, result, low, high, axis, rank)
        elif low or high:
            copied = _copied(op, result, x, axis, low, high, mode)
            if copied is None:
                return _at_run_time(op, node, g, mode)
            result = copied
    return result


def _trimmed(op: Builder, g: ir.Value, low: int, high: int, axis: int, rank: int) -> ir.Value:
    """Take away what positive pads added, and put zeros for what negative ones took."""
    if low > 0 or high > 0:
        end = -high if high > 0 else np.iinfo(np.int64).max
        g = op("Slice", g, *(op.ints(b) for b in ([max(low, 0)], [end], [axis])))
    return pad_axis(op, g, max(-low, 0), max(-high, 0), axis, rank)


def _copied(
    op: Builder, g: ir.Value, x: ir.Value, axis: int, low: int, high: int, mode: str
) -> ir.Value | None:
    """Add what was copied beyond the ends of one axis to where it came from; None if it is not known."""
    size, rank = dims(x)[axis], len(dims(x))
    if not isinstance(size, int) or low < 0 or high < 0:
        return None
    source = np.pad(np.arange(size), (low, high), _NUMPY_MODES[mode])
    return fold(op, g, source, axis, size, rank)


def _at_run_time(op: Builder, node: ir.Node, g: ir.Value, mode: str) -> ir.Value:
    """Pad the flat positions of x in the same way and add g up at them."""
    x = first(node)
    padded = op("Pad", positions(op, x), node.inputs[1], None, *node.inputs[3:4], mode=mode)
    return scatter_back(op, x, padded, g)
