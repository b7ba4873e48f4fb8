"""Floating-point operations and memory traffic of one node, by the shapes of what it reads and writes."""

from __future__ import annotations

import math
from collections.abc import Sequence

Sizes = Sequence[int]

FREE = {"Dropout", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"}
"""These give their input under another shape, or nothing but sizes: no element moves."""

PICKING = {"Gather", "GatherElements", "GatherND", "Slice"}
"""Of their first input these read no more than they write."""

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def flops(op_type: str, first: Sizes, second: Sizes, out: Sizes, transposed: bool = False) -> int:
    """Floating-point operations of a node, a multiply and an add counted as two.

    first, second, out: the shapes of its first two inputs and its output. transposed: a Gemm's transA.
    Operators that move or map elements count as nothing: memory bounds them.
    """
    if op_type == "Conv":
        return 2 * math.prod(out) * math.prod(second[1:])
    if op_type == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(second[1:])
    if op_type == "Gemm":
        return 2 * math.prod(out) * first[0 if transposed else -1]
    if op_type == "MatMul":
        return 2 * math.prod(out) * first[-1]
    return 0


def traffic(op_type: str, read: Sequence[int], written: int) -> tuple[int, int]:
    """Bytes that a node reads and writes, given the bytes of its inputs and of its outputs together."""
    if op_type in FREE:
        return 0, 0
    if op_type in PICKING and read:
        return min(read[0], written) + sum(read[1:]), written
    return sum(read), written
