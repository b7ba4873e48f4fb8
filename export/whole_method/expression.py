"""Arithmetic on a batch, written as arithmetic: what the methods' recurrences are made of.

An `Expr` is a value of the graph under construction, one row per image: [batch] or [batch, ...]. One of
[batch] meets one of [batch, ...] as [batch, 1, ...]; a number becomes a constant of the other operand's type.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fluxpath.export.builder import Builder

BOOL = ir.DataType.BOOL


class Expr:
    """`value` of the given rank (0: one number for all rows), to which `op` appends."""

    def __init__(self, op: Builder, value: ir.Value, rank: int) -> None:
        self.op = op
        self.value = value
        self.rank = rank

    def __add__(self, other: Expr | float) -> Expr:
        return self._binary("Add", other)

    def __sub__(self, other: Expr | float) -> Expr:
        return self._binary("Sub", other)

    def __mul__(self, other: Expr | float) -> Expr:
        return self._binary("Mul", other)

    def __truediv__(self, other: Expr | float) -> Expr:
        return self._binary("Div", other)

    def __radd__(self, other: float) -> Expr:
        return self._like(other)._binary("Add", self)

    def __rsub__(self, other: float) -> Expr:
        return self._like(other)._binary("Sub", self)

    def __rmul__(self, other: float) -> Expr:
        return self._like(other)._binary("Mul", self)

    def __rtruediv__(self, other: float) -> Expr:
        return self._like(other)._binary("Div", self)

    def __neg__(self) -> Expr:
        return self._unary("Neg")

    def __lt__(self, other: Expr | float) -> Expr:
        return self._binary("Less", other, BOOL)

    def __le__(self, other: Expr | float) -> Expr:
        return self._binary("LessOrEqual", other, BOOL)

    def __gt__(self, other: Expr | float) -> Expr:
        return self._binary("Greater", other, BOOL)

    def __ge__(self, other: Expr | float) -> Expr:
        return self._binary("GreaterOrEqual", other, BOOL)

    def equals(self, other: Expr | float) -> Expr:
        """Where both are the same."""
        return self._binary("Equal", other, BOOL)

    def __and__(self, other: Expr) -> Expr:
        return self._binary("And", other)

    def __or__(self, other: Expr) -> Expr:
        return self._binary("Or", other)

    def __invert__(self) -> Expr:
        return self._unary("Not")

    def abs(self) -> Expr:
        """Element by element."""
        return self._unary("Abs")

    def sign(self) -> Expr:
        """-1, 0 or 1."""
        return self._unary("Sign")

    def sqrt(self) -> Expr:
        """Element by element."""
        return self._unary("Sqrt")

    def log(self) -> Expr:
        """The natural logarithm, element by element."""
        return self._unary("Log")

    def least(self, other: Expr | float) -> Expr:
        """The smaller of both."""
        return self._binary("Min", other)

    def most(self, other: Expr | float) -> Expr:
        """The larger of both."""
        return self._binary("Max", other)

    def clamp(self, low: Expr | float | None, high: Expr | float | None) -> Expr:
        """Into [low, high]; None for no bound."""
        below = self if high is None else self.least(high)
        return below if low is None else below.most(low)

    def to(self, dtype: ir.DataType) -> Expr:
        """Another element type; a boolean is 0 or 1."""
        if self.value.dtype == dtype:
            return self
        return Expr(self.op, self.op("Cast", self.value, to=int(dtype), dtype=dtype), self.rank)

    def total(self) -> Expr:
        """[batch]: the sum of each row."""
        return self._reduce("ReduceSum")

    def largest(self) -> Expr:
        """[batch]: the maximum of each row."""
        return self._reduce("ReduceMax")

    def squares(self) -> Expr:
        """[batch]: the sum of the squares of each row."""
        return self._reduce("ReduceSumSquare")

    def norm(self) -> Expr:
        """[batch]: the L2 norm of each row; no square over- or underflows."""
        largest = self.abs().largest()
        return largest * (self / where(largest > 0, largest, 1.0)).squares().sqrt()

    def everywhere(self) -> Expr:
        """[batch]: whether a boolean holds in the whole row."""
        return self.to(ir.DataType.FLOAT)._reduce("ReduceMin") > 0.5

    def row(self, index: Expr) -> Expr:
        """The rows of this value that `index` [batch] names, or its entry if that is one number."""
        rank = self.rank - 1 + index.rank
        return Expr(self.op, self.op("Gather", self.value, index.value, axis=0), rank)

    def wide(self, rank: int) -> ir.Value:
        """[batch] as [batch, 1, ...] of that rank."""
        if self.rank in (0, rank):
            return self.value
        return self.op("Unsqueeze", self.value, self.op.ints(list(range(self.rank, rank))))

    def _reduce(self, op_type: str) -> Expr:
        return Expr(
            self.op, self.op(op_type, self.value, self.op.ints(list(range(1, self.rank))), keepdims=0), 1
        )

    def _unary(self, op_type: str) -> Expr:
        return Expr(self.op, self.op(op_type, self.value), self.rank)

    def _binary(self, op_type: str, other: Expr | float, dtype: ir.DataType | None = None) -> Expr:
        second = self._like(other)
        rank = max(self.rank, second.rank)
        return Expr(self.op, self.op(op_type, self.wide(rank), second.wide(rank), dtype=dtype), rank)

    def _like(self, other: Expr | float) -> Expr:
        return other if isinstance(other, Expr) else Expr(self.op, self.op.scalar(other, self.value), 0)


def where(mask: Expr, values: Expr | float, others: Expr | float) -> Expr:
    """`values` where the boolean holds, else `others`; one of them at least is no mere number."""
    like = values if isinstance(values, Expr) else others
    assert isinstance(like, Expr)
    first, second = like._like(values), like._like(others)
    rank = max(mask.rank, first.rank, second.rank)
    operands = [v.wide(rank) for v in (mask, first, second)]
    return Expr(like.op, like.op("Where", *operands, dtype=like.value.dtype), rank)


def first_of(cases: Sequence[tuple[Expr, int]], otherwise: Expr) -> Expr:
    """The number of the first case that holds."""
    for mask, number in reversed(cases):
        otherwise = where(mask, float(number), otherwise)
    return otherwise
