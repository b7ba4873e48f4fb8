"""Reductions against central differences: axes as constants, none, empty or computed."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

AXES: list[list[int] | None] = [[1], [2], [-1], [-2, -1], [1, 2, 3], [0], [0, 2], [0, 1, 2, 3], [-4, 3], None]


@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("dims", ["2,3,4,5", "batch,3,4,5", "n,3,h,w"])
def test_axes(op_type: str, axes: list[int] | None, keepdims: int, dims: str) -> None:
    operand, constants = ("", {}) if axes is None else (", axes", {"axes": axes})
    gradcheck.check(f"y = {op_type}<keepdims={keepdims}>(x{operand})", (2, 3, 4, 5), dims=dims, **constants)


@pytest.mark.parametrize("operand", ["", ", axes"])
@pytest.mark.parametrize("noop", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum"])
def test_empty_axes(op_type: str, keepdims: int, noop: int, operand: str) -> None:
    """All axes, or none at all with noop_with_empty_axes."""
    constants = {"axes": []} if operand else {}
    attributes = f"keepdims={keepdims}, noop_with_empty_axes={noop}"
    gradcheck.check(f"y = {op_type}<{attributes}>(x{operand})", (2, 3, 4), **constants)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("start", [1, 2])
def test_axes_that_the_graph_computes(op_type: str, keepdims: int, start: int) -> None:
    """axes = range(start, rank), found at run time, so that not even the result's rank is known before."""
    text = (
        "s = Shape(x) r = Size(s) axes = Range(start, r, one) "
        f"m = {op_type}<keepdims={keepdims}>(x, axes) y = Reshape(m, flat)"
    )
    gradcheck.check(text, (2, 3, 4), start=np.array(start), one=np.array(1), flat=[-1])


def test_a_reduction_among_other_readers() -> None:
    """Mean and variance as layer normalisation writes them: fan-out through broadcasts."""
    text = (
        "m = ReduceMean(x, axes) d = Sub(x, m) q = Mul(d, d) v = ReduceMean(q, axes) "
        "e = Sigmoid(v) y = Div(d, e)"
    )
    gradcheck.check(text, (2, 3, 4), axes=[-1])


def test_means_over_the_batch_divide_by_the_batch_that_runs() -> None:
    """The same graph, batches of two and of five."""
    for batch in (2, 5):
        found = gradcheck.evaluate("y = ReduceMean(x, axes)", np.zeros((batch, 3)), axes=[0])
        np.testing.assert_allclose(found.single, np.full((batch, 3), 1 / batch), rtol=1e-7)
        found = gradcheck.evaluate("y = ReduceMean<keepdims=0>(x)", np.zeros((batch, 3)))
        np.testing.assert_allclose(found.single, np.full((batch, 3), 1 / batch / 3), rtol=1e-7)
