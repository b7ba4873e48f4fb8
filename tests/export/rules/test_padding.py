"""Padding in every mode, against central differences."""

from __future__ import annotations

import gradcheck
import pytest

MODES = ["constant", "reflect", "edge", "wrap"]
PADS = [
    [0, 0, 1, 2, 0, 0, 3, 1],
    [0, 0, 0, 2, 0, 0, 0, 0],
    [0, 1, 0, 0, 0, 0, 0, 1],
    [1, 0, 0, 0, 2, 0, 0, 0],
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("dims", ["3,2,4,3", "a,2,4,3", "a,b,c,d"])
def test_pad(dims: str, pads: list[int], mode: str) -> None:
    gradcheck.check(f'y = Pad<mode="{mode}">(x, p)', (3, 2, 4, 3), dims=dims, p=pads)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dims", ["2,4,3", "a,b,c"])
def test_pad_of_some_axes(dims: str, mode: str) -> None:
    gradcheck.check(f'y = Pad<mode="{mode}">(x, p, , a)', (2, 4, 3), dims=dims, p=[1, 2, 2, 3], a=[-1, 1])


@pytest.mark.parametrize("mode", MODES)
def test_pad_by_computed_amounts(mode: str) -> None:
    text = f's = Shape(x) p = Mod(s, m) q = Concat<axis=0>(p, p) y = Pad<mode="{mode}">(x, q)'
    gradcheck.check(text, (4, 3), dims="a,b", m=[2, 2])


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pads_as_large_as_the_input(mode: str) -> None:
    gradcheck.check(f'y = Pad<mode="{mode}">(x, p)', (2, 4), p=[0, 3, 0, 3])


def test_negative_pads_crop() -> None:
    gradcheck.check("y = Pad(x, p)", (2, 5), p=[0, -1, 0, -2])
    gradcheck.check("y = Pad(x, p)", (2, 5), p=[0, -1, 0, 2])
    gradcheck.check("y = Pad(x, p)", (2, 5), dims="a,b", p=[0, 2, 0, -3])


def test_a_pad_value_gets_no_gradient() -> None:
    gradcheck.check("y = Pad(x, p, v)", (2, 5), p=[0, 1, 0, 2], v=3.0)
