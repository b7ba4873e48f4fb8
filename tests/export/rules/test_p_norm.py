"""Norms against central differences, and their zeros."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import pytest

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("(x)", {}),
    ("<keepdims=0>(x)", {}),
    ("(x, axes)", {"axes": [1]}),
    ("<keepdims=0>(x, axes)", {"axes": [0, -1]}),
    ("<keepdims=0>(x, axes)", {"axes": [1, 2]}),
]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize(("form", "constants"), FORMS)
@pytest.mark.parametrize("kind", ["ReduceL1", "ReduceL2"])
def test_reduction(kind: str, form: str, constants: dict[str, Any], dims: str) -> None:
    gradcheck.check(f"y = {kind}{form}", (2, 3, 4), dims=dims, **constants)


@pytest.mark.parametrize("dims", ["batch,3,4,5", "a,b,c,d"])
@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_global_pool(p: int, dims: str) -> None:
    gradcheck.check(f"y = GlobalLpPool<p={p}>(x)", (2, 3, 4, 5), dims=dims)


WINDOWS = [
    ("kernel_shape=[2, 3]", (2, 3, 6, 5)),
    ("kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 0, 1]", (2, 3, 6, 5)),
    ("kernel_shape=[3, 3], strides=[2, 3]", (2, 3, 8, 8)),
    ("kernel_shape=[2, 2], dilations=[2, 1]", (2, 3, 6, 5)),
    ('kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2]', (2, 3, 7, 5)),
    ("kernel_shape=[3]", (2, 3, 7)),
]


@pytest.mark.parametrize(("window", "shape"), WINDOWS)
@pytest.mark.parametrize("p", [1, 2, 3])
def test_pool(p: int, window: str, shape: tuple[int, ...]) -> None:
    for dims in (None, f"n,3,{','.join('hw'[: len(shape) - 2])}"):
        gradcheck.check(f"y = LpPool<p={p}, {window}>(x)", shape, dims=dims)


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("p", [1, 2])
def test_normalization(p: int, axis: int, dims: str) -> None:
    gradcheck.check(f"y = LpNormalization<p={p}, axis={axis}>(x)", (2, 3, 4), dims=dims)


@pytest.mark.parametrize(
    "text",
    [
        "y = ReduceL1(x, axes)",
        "y = ReduceL2(x, axes)",
        *(f"y = GlobalLpPool<p={p}>(x)" for p in (1, 2, 3)),
        *(f"y = LpPool<p={p}, kernel_shape=[2]>(x)" for p in (1, 2, 3)),
        *(f"y = LpNormalization<p={p}>(x)" for p in (1, 2)),
    ],
)
def test_gradient_of_a_zero_norm_is_zero(text: str) -> None:
    constants = {"axes": [2]} if "axes" in text else {}
    seed = None if "Normalization" not in text else np.array([[[1.0, 2.0]]] * 2)
    found = gradcheck.evaluate(text, np.array([[[0.0, 0.0]], [[3.0, 4.0]]]), seed, **constants)
    np.testing.assert_array_equal(found.single[0], 0)
    assert np.isfinite(found.single[1]).all() and found.single[1].any()


def test_global_pool_of_large_numbers() -> None:
    found = gradcheck.evaluate("y = GlobalLpPool<p=2>(x)", np.full((1, 1, 4), 1e15))
    np.testing.assert_allclose(found.single, np.full((1, 1, 4), 0.5), rtol=1e-6)
