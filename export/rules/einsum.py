"""Einsum: along an operand it is the einsum of the output's gradient and the other operands."""

from __future__ import annotations

import string
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.builder import Builder, Dim, dims, reduce_to
from fluxpath.export.rules._constants import apart
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import as_vector, joined, size

_DOTS = "..."


@dataclass(frozen=True)
class Term:
    """An operand or the output with its subscripts."""

    value: ir.Value
    subscripts: str

    @property
    def letters(self) -> str:
        return self.subscripts.replace(_DOTS, "")

    @property
    def axes(self) -> list[int]:
        """The axis of every letter."""
        rank = len(dims(self.value))
        before, dots, after = self.subscripts.partition(_DOTS)
        return [*range(len(before)), *range(rank - len(after), rank)] if dots else list(range(rank))

    @property
    def dotted_axes(self) -> list[int]:
        """The axes that the dots stand for."""
        return [a for a in range(len(dims(self.value))) if a not in self.axes]

    def length(self, letter: str) -> Dim:
        """The size along `letter`; None also where it does not occur."""
        if letter not in self.letters:
            return None
        return dims(self.value)[self.axes[self.letters.index(letter)]]


@rule("Einsum", since=12)
def einsum(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    operands, output = _terms(node)
    return [_along(op, k, operands, output, g) for k in range(len(operands))]


def _terms(node: ir.Node) -> tuple[list[Term], Term]:
    """The operands and the output, whose subscripts may be implicit."""
    equation = node.attributes.get_string("equation", "")
    left, arrow, right = equation.replace(" ", "").partition("->")
    values = [v for v in node.inputs if v is not None]
    operands = [Term(v, t) for v, t in zip(values, left.split(","), strict=True)]
    if not arrow:
        letters = "".join(t.letters for t in operands)
        right = _DOTS if _DOTS in left else ""
        right += "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if not any(t.dotted_axes for t in operands):
        # Dots that stand for no axis at all would only be in the way.
        return [Term(t.value, t.letters) for t in operands], Term(node.outputs[0], right.replace(_DOTS, ""))
    if _DOTS not in right:
        raise ValueError(f"has the equation '{equation}', whose output drops the axes of the ellipsis")
    return operands, Term(node.outputs[0], right)


def _along(op: Builder, k: int, operands: list[Term], output: Term, g: ir.Value) -> ir.Value:
    """The gradient of operand `k`.

    A letter that was summed over this operand alone has the same gradient all along: a vector of ones
    brings it in. A letter that the operand repeats read a diagonal: an identity puts it back there.
    """
    x, others = operands[k], operands[:k] + operands[k + 1 :]
    subscripts = [output.subscripts, *(t.subscripts for t in others)]
    values = [g, *(_again(op, t.value) for t in others)]
    free = iter(set(string.ascii_letters) - set("".join([x.subscripts, *subscripts])))
    target = ""
    for letter, axis in zip(x.letters, x.axes, strict=True):
        length = size(op, x.value, axis)
        if letter in target:
            fresh = next(free)
            subscripts.append(letter + fresh)
            values.append(op("EyeLike", op.zeros(joined(op, [length, length]), g)))
            target += fresh
            continue
        target += letter
        if letter not in output.letters and not _reached(letter, dims(x.value)[axis], others):
            # In front, because shape inference takes the size of a letter from where it occurs first.
            subscripts.insert(0, letter)
            values.insert(0, op("Expand", op.scalar(1.0, g), as_vector(op, length)))
    dots = _DOTS if _DOTS in output.subscripts else ""
    equation = ",".join(subscripts) + "->" + dots + target
    summed = op.node("Einsum", values, 1, None, {"equation": equation})[0]
    return _restored(op, summed, x, [*operands, output])


def _again(op: Builder, value: ir.Value) -> ir.Value:
    """An operand as the backward pass reads it; see `apart`. Which axes become a matrix's, nobody knows."""
    sizes = [d for d in dims(value) if d != 1]
    return apart(op, value) if len(set(sizes)) < len(sizes) else value


def _reached(letter: str, length: Dim, others: list[Term]) -> bool:
    """Whether other operands bring in an axis of (at least) that length by themselves."""
    found = [t.length(letter) for t in others if letter in t.letters]
    return bool(found) and (length == 1 or (length is not None and length in found))


def _restored(op: Builder, summed: ir.Value, x: Term, terms: list[Term]) -> ir.Value:
    """From the axes (dots, letters), sum what was broadcast and put the axes in the order of `x`."""
    output = terms[-1]
    full: list[Dim] = [dims(output.value)[a] for a in output.dotted_axes]
    full += [_longest([t.length(letter) for t in terms if letter in t.letters]) for letter in x.letters]
    order = [*x.dotted_axes, *x.axes]
    if order == list(range(len(order))):
        return reduce_to(op, summed, full, x.value)
    moved = op("Transpose", x.value, perm=order)
    moved.shape = ir.Shape([dims(x.value)[a] for a in order])
    back = [order.index(a) for a in range(len(order))]
    return op("Transpose", reduce_to(op, summed, full, moved), perm=back)


def _longest(lengths: list[Dim]) -> Dim:
    """The size to which sizes of one broadcast; None where that is not known."""
    others = {n for n in lengths if n != 1}
    return next(iter(others)) if len(others) == 1 else None if others else 1
