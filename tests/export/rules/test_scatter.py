"""Writing elements at indices, against central differences along the data, the updates and both."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

ROWS = np.array([[2], [0]])
CELLS = np.array([[[0, 1], [2, 2]], [[-1, 0], [1, 1]]])


@pytest.mark.parametrize("reduction", ["", '<reduction="add">'])
@pytest.mark.parametrize("indices", [ROWS, CELLS], ids=["rows", "cells"])
def test_scatter_nd(reduction: str, indices: np.ndarray) -> None:
    updates = (2, 3) if indices is ROWS else (2, 2)
    gradcheck.check(f"y = ScatterND{reduction}(x, i, u)", (3, 3), dims="a,b", i=indices, u=updates)
    gradcheck.check(f"y = ScatterND{reduction}(d, i, x)", updates, dims="a,b", i=indices, d=(3, 3))


def test_scatter_nd_of_x_into_x() -> None:
    gradcheck.check("t = Tanh(x) u = Gather(t, j) y = ScatterND(x, i, u)", (3, 3), i=ROWS, j=[1, 1])


def test_scatter_nd_adds_repeated_indices() -> None:
    gradcheck.check('y = ScatterND<reduction="add">(d, i, x)', (3, 2), d=(4, 2), i=[[1], [1], [0]])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reduction", ["none", "add"])
def test_scatter_elements(axis: int, reduction: str) -> None:
    indices = np.array([[0, 2, -1], [1, 0, 1]] if axis == 0 else [[0, 2, -3], [3, 0, 1]])
    node = f'y = ScatterElements<axis={axis}, reduction="{reduction}">'
    gradcheck.check(f"{node}(x, i, u)", (3, 4), dims="a,b", i=indices, u=(2, 3))
    gradcheck.check(f"{node}(d, i, x)", (2, 3), dims="a,b", i=indices, d=(3, 4))


def test_other_reductions_are_refused() -> None:
    for name in ("mul", "max", "min"):
        text = f'y = ScatterND<reduction="{name}">(x, i, u)'
        with pytest.raises(UnsupportedOperatorError, match=f"'{name}'"):
            gradcheck.check(text, (3, 3), i=ROWS, u=(2, 3))
        text = f'y = ScatterElements<reduction="{name}">(x, i, u)'
        with pytest.raises(UnsupportedOperatorError, match=f"'{name}'"):
            gradcheck.check(text, (3, 3), i=[[0, 1, 2]], u=(1, 3))


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_tensor_scatter(mode: str) -> None:
    node = f'y = TensorScatter<mode="{mode}", axis=1>'
    at = [0, 1] if mode == "linear" else [3, 1]
    gradcheck.check(f"{node}(x, u, i)", (2, 4, 3), opset=24, u=(2, 2, 3), i=at)
    gradcheck.check(f"{node}(p, x, i)", (2, 2, 3), dims="2,2,3", opset=24, p=(2, 4, 3), i=at)
    gradcheck.check(f"{node}(p, x)", (2, 2, 3), dims="2,2,3", opset=24, p=(2, 4, 3))
