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

UNCOUNTED = {
    "Attention", "ConvInteger", "DFT", "DeformConv", "Det", "GRU", "If", "LSTM", "Loop", "MatMulInteger",
    "QLinearConv", "QLinearMatMul", "RNN", "STFT", "Scan",
}  # fmt: skip
"""What these compute is more than moving or mapping elements, and is not counted here."""


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


def einsum_flops(equation: str, shapes: Sequence[Sizes]) -> int | None:
    """Those of an Einsum: of two operands a product for every combination of all indices, as a MatMul.

    One operand is only summed, which memory bounds. Of more than two, None: a runtime chooses their order.
    """
    if len(shapes) != 2:
        return 0 if len(shapes) < 2 else None
    lengths: dict[str | int, int] = {}
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    for term, sizes in zip(terms, shapes, strict=True):
        before, _, after = term.partition("...")
        dotted = range(len(before) + len(after) - len(sizes), 0)  # from the right, as axes are broadcast
        for name, size in zip((*before, *dotted, *after), sizes, strict=True):
            lengths[name] = max(size, lengths.get(name, 1))
    return 2 * math.prod(lengths.values())


def traffic(op_type: str, read: Sequence[int], written: int) -> tuple[int, int]:
    """Bytes that a node reads and writes, given the bytes of its inputs and of its outputs together."""
    if op_type in FREE:
        return 0, 0
    if op_type in PICKING and read:
        return min(read[0], written) + sum(read[1:]), written
    return sum(read), written
