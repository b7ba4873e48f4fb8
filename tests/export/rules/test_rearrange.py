"""Tiles, blocks, triangles and reversed sequences, against central differences."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError


@pytest.mark.parametrize("repeats", [[1, 1, 1], [2, 1, 1], [1, 3, 1], [1, 1, 2], [2, 3, 4]], ids=str)
@pytest.mark.parametrize("dims", ["2,3,2", "a,3,2", "a,b,2", "a,b,c"])
def test_tile(dims: str, repeats: list[int]) -> None:
    gradcheck.check("y = Tile(x, r)", (2, 3, 2), dims=dims, r=repeats)


def test_tile_by_computed_repeats() -> None:
    gradcheck.check("s = Shape(x) y = Tile(x, s)", (2, 3), dims="a,b")
    gradcheck.check("s = Shape(x) y = Tile(x, s)", (2, 1), dims="2,b")


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("dims", ["2,8,3,2", "a,8,3,2", "a,b,c,d"])
def test_depth_to_space(dims: str, mode: str) -> None:
    gradcheck.check(f'y = DepthToSpace<blocksize=2, mode="{mode}">(x)', (2, 8, 3, 2), dims=dims)


@pytest.mark.parametrize("dims", ["2,3,4,6", "a,b,c,d"])
def test_space_to_depth(dims: str) -> None:
    gradcheck.check("y = SpaceToDepth<blocksize=2>(x)", (2, 3, 4, 6), dims=dims)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2])
def test_trilu(upper: int, k: int | None) -> None:
    operands, constants = ("x", {}) if k is None else ("x, k", {"k": k})
    constants = {name: np.array(value, np.int64) for name, value in constants.items()}
    gradcheck.check(f"y = Trilu<upper={upper}>({operands})", (2, 3, 4), dims="a,b,c", **constants)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_reverse_sequence(axes: tuple[int, int]) -> None:
    attributes = f"time_axis={axes[0]}, batch_axis={axes[1]}"
    lengths = [1, 3, 2, 4] if axes == (0, 1) else [2, 4, 1, 3]
    gradcheck.check(f"y = ReverseSequence<{attributes}>(x, l)", (4, 4, 2), l=lengths)


def test_max_unpool() -> None:
    pooled = "p, i = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x)"
    gradcheck.check(f"{pooled} y = MaxUnpool<kernel_shape=[2, 2], strides=[2, 2]>(p, i)", (2, 3, 4, 6))
    text = f"{pooled} u = MaxUnpool<kernel_shape=[2, 2], strides=[2, 2]>(p, i, s) y = Reshape(u, s)"
    with pytest.raises(UnsupportedOperatorError, match="output_shape"):
        gradcheck.differentiated(gradcheck.parse(text, "2,3,4,6", s=[2, 3, 5, 7]))
