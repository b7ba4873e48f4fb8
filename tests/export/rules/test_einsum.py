"""Einsum against central differences along every operand."""

from __future__ import annotations

import gradcheck
import pytest

from fluxpath.errors import UnsupportedOperatorError

Shape = tuple[int, ...]
EQUATIONS: list[tuple[str, list[Shape]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
    ("bhwc,hkc->bhwk", [(2, 3, 4, 2), (3, 5, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    ("i,i->", [(3,), (3,)]),
    ("i,i", [(3,), (3,)]),
    ("ij->ji", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("ij->i", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii->", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("bii->b", [(2, 3, 3)]),
    ("iji->j", [(3, 2, 3)]),
    ("ij,ki->k", [(2, 3), (4, 2)]),
    ("ij,ij,ij->i", [(2, 3), (2, 3), (2, 3)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (2, 3, 4)]),
    ("...ij,jk->...ik", [(2, 2, 3), (3, 4)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (1, 3, 4)]),
    ("...i->...", [(2, 3)]),
    ("b...c,...c->b...", [(2, 3, 4), (3, 4)]),
    ("b...c,cd->bd...", [(2, 3, 3, 4), (4, 2)]),
    ("i...,i...", [(2, 3), (2, 3)]),
    ("a...a->...", [(2, 3, 2)]),
    (" i j , j -> i ", [(2, 3), (3,)]),
    ("Ab,bA->A", [(2, 3), (3, 2)]),
]


def cases() -> list[object]:
    return [pytest.param(e, s, k, id=f"{e} {k}") for e, s in EQUATIONS for k in range(len(s))]


def check(equation: str, shapes: list[Shape], slot: int, dims: str) -> None:
    names = ["x" if i == slot else f"c{i}" for i in range(len(shapes))]
    constants = {name: shape for name, shape in zip(names, shapes, strict=True) if name != "x"}
    text = f'y = Einsum<equation="{equation}">({", ".join(names)})'
    gradcheck.check(text, shapes[slot], dims=dims, **constants)


@pytest.mark.parametrize(("equation", "shapes", "slot"), cases())
def test_einsum(equation: str, shapes: list[Shape], slot: int) -> None:
    check(equation, shapes, slot, ",".join(map(str, shapes[slot])))


@pytest.mark.parametrize(("equation", "shapes", "slot"), cases())
def test_einsum_of_dynamic_sizes(equation: str, shapes: list[Shape], slot: int) -> None:
    by_length = {2: "two", 3: "three", 4: "four", 5: "five", 1: "one"}
    check(equation, shapes, slot, ",".join(by_length[n] for n in shapes[slot]))


def test_einsum_of_x_with_itself() -> None:
    gradcheck.check('y = Einsum<equation="bij,bkj->bik">(x, x)', (2, 3, 4))
    gradcheck.check('t = Tanh(x) y = Einsum<equation="bij,bji,bii->b">(x, t, x)', (2, 3, 3))


def test_an_operand_broadcast_along_a_letter() -> None:
    check("ij,ij->j", [(1, 3), (2, 3)], 0, "1,3")
    check("ij,ij->ij", [(2, 3), (2, 1)], 0, "2,3")
    check("ij,ij->i", [(2, 3), (2, 1)], 0, "2,3")
    check("ij,ij->i", [(2, 3), (2, 1)], 0, "a,b")


def test_an_output_without_the_ellipsis_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="ellipsis"):
        gradcheck.differentiated(gradcheck.parse('y = Einsum<equation="...i->i">(x)', "2,3"))
