"""Operators that only move elements, against central differences."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

Shape = tuple[int, ...]
FIRST, LAST = -(2**63), 2**63 - 1

RESHAPES = [
    ("y = Reshape(x, to)", {"to": [-1, 12]}),
    ("y = Reshape(x, to)", {"to": [0, 12]}),
    ("y = Reshape(x, to)", {"to": [-1]}),
    ("y = Reshape(x, to)", {"to": [0, 2, 2, -1]}),
    ("y = Reshape(x, to)", {"to": [1, -1, 4, 1]}),
    ("s = Shape(x) f = Flatten<axis=0>(x) y = Reshape(f, s)", {}),
    ("y = Flatten(x)", {}),
    ("y = Flatten<axis=0>(x)", {}),
    ("y = Flatten<axis=2>(x)", {}),
    ("y = Flatten<axis=-1>(x)", {}),
    ("y = Flatten<axis=3>(x)", {}),
    ("y = Transpose(x)", {}),
    ("y = Transpose<perm=[2, 0, 1]>(x)", {}),
    ("y = Transpose<perm=[1, 2, 0]>(x)", {}),
    ("y = Transpose<perm=[0, 2, 1]>(x)", {}),
    ("y = Unsqueeze(x, axes)", {"axes": [0]}),
    ("y = Unsqueeze(x, axes)", {"axes": [1, -1]}),
    ("u = Unsqueeze(x, axes) y = Squeeze(u, axes)", {"axes": [2]}),
    ("u = Unsqueeze(x, axes) y = Squeeze(u, axes)", {"axes": [-2, 1]}),
    ("y = Expand(x, to)", {"to": [2, 1, 3, 4]}),
    ("y = Expand(x, to)", {"to": [1]}),
    ("u = Unsqueeze(x, axes) y = Expand(u, to)", {"axes": [1], "to": [1, 5, 1, 4]}),
    ("m = ReduceMean(x, axes) s = Shape(x) y = Expand(m, s)", {"axes": [0, 2]}),
]


@pytest.mark.parametrize(("text", "constants"), RESHAPES)
@pytest.mark.parametrize("dims", ["batch,3,4", "2,3,4", "n,m,4"])
def test_reshaping(text: str, constants: dict, dims: str) -> None:
    gradcheck.check(text, (2, 3, 4), dims=dims, **constants)


def test_squeeze_of_every_axis_of_one() -> None:
    gradcheck.check("y = Squeeze(x)", (1, 3, 1, 4), dims="1,3,1,4")


JOINS = [
    ("y = Concat<axis=1>(x, x)", {}),
    ("y = Concat<axis=0>(x, x, x)", {}),
    ("t = Tanh(x) y = Concat<axis=-1>(x, w, t)", {"w": (2, 3, 4)}),
    ("y = Concat<axis=1>(w, x)", {"w": (2, 5, 4)}),
    ("y = Concat<axis=1>(x)", {}),
    ("m = ReduceMean(x, axes) y = Concat<axis=0>(m, x)", {"axes": [0]}),
    ("a, b, c = Split<axis=1, num_outputs=3>(x) y = Concat<axis=1>(c, a, b)", {}),
    ("a, b = Split<axis=1>(x, sizes) y = Mul(b, b)", {"sizes": [1, 2]}),
    ("a, b = Split<axis=-1, num_outputs=2>(x) y = Mul(a, b)", {}),
    ("a, b = Split<axis=2, num_outputs=2>(x) y = Sub(a, b)", {}),
    ("a, b, c = Split<axis=1, num_outputs=3>(x) y = Tanh(b)", {}),
    ("a, b, c = Split<axis=1, num_outputs=3>(x) d = Mul(a, c) y = Mul(d, a)", {}),
    ("a, b = Split<axis=2>(x, sizes) y = Neg(a)", {"sizes": [1, 3]}),
    (
        "a, b = Split<axis=2, num_outputs=2>(w) c, d = Split<axis=2>(x, sizes) y = Mul(c, a)",
        {"w": (2, 3, 4), "sizes": [2, 2]},
    ),
]


@pytest.mark.parametrize(("text", "constants"), JOINS)
@pytest.mark.parametrize("dims", ["batch,3,4", "2,3,4"])
def test_concat_and_split(text: str, constants: dict, dims: str) -> None:
    gradcheck.check(text, (2, 3, 4), dims=dims, **constants)


def test_concat_and_split_along_sizes_known_at_run_time() -> None:
    gradcheck.check("t = Tanh(x) y = Concat<axis=1>(x, t, w)", (2, 5, 3), dims="n,m,3", w=(2, 2, 3))
    gradcheck.check("t = Tanh(x) y = Concat<axis=-2>(t, x)", (2, 5, 3), dims="n,m,3")
    gradcheck.check("a, b = Split<axis=1, num_outputs=2>(x) y = Tanh(b)", (2, 6, 3), dims="n,m,3")


SLICES = [
    # starts, ends, axes, steps, on [2, 7, 6]
    ([1], [3], [1], None),
    ([-3], [LAST], [1], None),
    ([0], [-1], [2], None),
    ([-100], [100], [1], None),
    ([2], [100], [-1], None),
    ([0, 1], [5, 4], [1, 2], [1, 1]),
    ([0], [7], [1], [2]),
    ([1], [7], [1], [2]),
    ([1], [6], [1], [3]),
    ([0], [LAST], [2], [4]),
    ([0], [7], [1], [100]),
    ([-1], [FIRST], [1], [-1]),
    ([-1], [-8], [1], [-1]),
    ([100], [-100], [1], [-1]),
    ([5], [0], [1], [-2]),
    ([6], [FIRST], [1], [-3]),
    ([-2], [-6], [2], [-2]),
    ([4, -1], [1, FIRST], [1, 2], [-1, -5]),
    ([1, 0], [6, 6], [-2, -1], [2, 3]),
    ([0, 1, 2], [2, 6, 5], None, None),
    ([0, 1, 2], [2, 6, 5], None, [1, 2, 2]),  # axes left out
    ([0], [1], [0], None),
    ([-1], [FIRST], [0], [-1]),
    ([1], [2], [0], [3]),
]


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES, ids=str)
@pytest.mark.parametrize("dims", ["2,7,6", "batch,7,6", "n,m,6"])
def test_slice(starts: list, ends: list, axes: list | None, steps: list | None, dims: str) -> None:
    constants = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    operands = ", ".join(k if v is not None else "" for k, v in constants.items()).rstrip(", ")
    given = {k: v for k, v in constants.items() if v is not None}
    gradcheck.check(f"y = Slice(x, {operands})", (2, 7, 6), dims=dims, **given)


SPATIAL = [
    ([0, 0], [9, 9], [2, 3], [2, 2]),
    ([1, 2], [7, 9], [2, 3], [3, 2]),
    ([1, 1, 2], [3, 8, 9], [1, 2, 3], [1, 2, 3]),
    ([6, 0], [0, 9], [2, 3], [-2, 4]),
    ([0, 1], [4, 9], [1, 3], [2, 2]),
    ([3, 0], [4, 9], [2, 3], [1, 2]),
]


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SPATIAL, ids=str)
@pytest.mark.parametrize("dims", ["2,4,7,8", "batch,4,7,8", "n,c,7,8"])
def test_slice_of_an_image(starts: list, ends: list, axes: list, steps: list, dims: str) -> None:
    operands = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    gradcheck.check("y = Slice(x, starts, ends, axes, steps)", (2, 4, 7, 8), dims=dims, **operands)


def test_slice_whose_bounds_the_graph_computes() -> None:
    text = "s = Shape<start=1, end=2>(x) h = Div(s, two) y = Slice(x, one, h, one)"
    gradcheck.check(text, (2, 7, 3), dims="n,m,3", one=[1], two=[2])


def test_slices_that_overlap_or_take_nothing() -> None:
    text = "a = Slice(x, o, e, i) b = Slice(x, i, f, i) y = Mul(a, b)"
    gradcheck.check(text, (2, 6), o=[0], i=[1], e=[4], f=[5])
    text = "a = Slice(x, e, e, i) y = Concat<axis=1>(a, x)"
    gradcheck.check(text, (2, 6), i=[1], e=[4])


def test_slice_written_out() -> None:
    found = gradcheck.evaluate(
        "y = Slice(x, starts, ends, axes, steps)",
        np.zeros((1, 6)),
        np.array([[1.0, 2.0, 3.0]]),
        starts=[5],
        ends=[0],
        axes=[1],
        steps=[-2],
    )
    np.testing.assert_array_equal(found.single, [[0, 3, 0, 2, 0, 1]])
