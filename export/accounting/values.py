"""Shapes and sizes of a graph's values, and which of them a runtime computes once."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx_ir as ir

from fluxpath.export.builder import dims


def sizes_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value if all of it is known as numbers, else None; () for an input that is left out."""
    try:
        known = dims(value) if value is not None else []
    except ValueError:
        return None
    sizes = tuple(d for d in known if isinstance(d, int))
    return sizes if len(sizes) == len(known) else None


def bytes_of(value: ir.Value) -> int | None:
    """Bytes of a value; None where its shape or type is unknown."""
    sizes = sizes_of(value)
    if sizes is None or value.dtype is None:
        return None
    return math.ceil(math.prod(sizes) * value.dtype.itemsize)


def all_bytes(values: Iterable[ir.Value | None]) -> list[int] | None:
    """Bytes of each; None where one is unknown."""
    sizes = [bytes_of(v) for v in values if v is not None]
    known = [s for s in sizes if s is not None]
    return known if len(known) == len(sizes) else None


def constants(graph: ir.Graph) -> set[ir.Value]:
    """The initializers, and what is computed of them alone: a runtime computes it as it opens the file."""
    found = set(graph.initializers.values())
    for node in graph:
        if all(v is None or v in found for v in node.inputs):
            found.update(node.outputs)
    return found
