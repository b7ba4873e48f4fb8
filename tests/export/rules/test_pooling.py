"""Pooling against central differences, over its whole geometry; ties written out."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

Shape = tuple[int, ...]

GEOMETRIES: list[tuple[Shape, str]] = [
    # 1-D and 3-D
    ((2, 3, 9), "kernel_shape=[2]"),
    ((2, 3, 9), "kernel_shape=[3], strides=[2], pads=[1, 0]"),
    ((2, 3, 4, 5, 6), "kernel_shape=[2, 2, 3], strides=[2, 2, 2]"),
    ((2, 3, 4, 5, 6), "kernel_shape=[2, 3, 3], strides=[1, 2, 3], pads=[0, 1, 1, 1, 0, 1]"),
    # 2-D
    ((2, 3, 6, 6), "kernel_shape=[2, 2], strides=[2, 2]"),
    ((2, 3, 6, 7), "kernel_shape=[2, 3]"),
    ((2, 3, 6, 6), "kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]"),
    ((2, 3, 7, 7), "kernel_shape=[2, 2], strides=[3, 3]"),  # gaps, and elements over at the end
    ((2, 3, 8, 7), "kernel_shape=[1, 1], strides=[2, 2]"),
    ((2, 3, 6, 7), "kernel_shape=[3, 2], strides=[2, 1], pads=[0, 1, 2, 0]"),
    ((2, 3, 5, 5), "kernel_shape=[5, 5]"),
    ((2, 3, 5, 5), "kernel_shape=[5, 5], strides=[5, 5]"),
    ((2, 3, 4, 4), "kernel_shape=[4, 4], pads=[1, 1, 1, 1]"),
    ((2, 3, 5, 6), "kernel_shape=[5, 4]"),
    ((2, 3, 8, 8), "kernel_shape=[2, 2], dilations=[2, 3]"),
    ((2, 3, 8, 8), "kernel_shape=[2, 3], dilations=[2, 1], strides=[2, 2], pads=[1, 1, 0, 1]"),
    ((2, 3, 7, 7), "kernel_shape=[2, 2], dilations=[3, 2], pads=[1, 1, 1, 1]"),
    # auto_pad
    ((2, 3, 7, 6), 'kernel_shape=[3, 3], auto_pad="SAME_UPPER"'),
    ((2, 3, 7, 6), 'kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"'),
    ((2, 3, 7, 6), 'kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"'),
    ((2, 3, 7, 6), 'kernel_shape=[2, 3], strides=[3, 3], auto_pad="SAME_LOWER"'),
    ((2, 3, 7, 6), 'kernel_shape=[3, 2], strides=[2, 2], auto_pad="VALID"'),
    # ceil_mode: the last window reaches over the end by one, by two; not at all
    ((2, 3, 6, 6), "kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1"),
    ((2, 3, 7, 8), "kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1"),
    ((2, 3, 7, 7), "kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1"),
    ((2, 3, 6, 7), "kernel_shape=[4, 4], strides=[3, 4], ceil_mode=1"),
    ((2, 3, 6, 6), "kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1"),
    ((2, 3, 7, 7), "kernel_shape=[3, 2], strides=[3, 2], pads=[0, 1, 1, 0], ceil_mode=1"),
]


@pytest.mark.parametrize(("shape", "attributes"), GEOMETRIES, ids=str)
def test_max_pool(shape: Shape, attributes: str) -> None:
    gradcheck.check(f"y = MaxPool<{attributes}>(x)", shape)


@pytest.mark.parametrize(("shape", "attributes"), GEOMETRIES, ids=str)
@pytest.mark.parametrize("with_pads", [0, 1])
def test_average_pool(shape: Shape, attributes: str, with_pads: int) -> None:
    gradcheck.check(f"y = AveragePool<{attributes}, count_include_pad={with_pads}>(x)", shape)


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((2, 3, 5, 5), "kernel_shape=[2, 2], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1"),
        ((2, 3, 9), "kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1"),
    ],
)
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_a_window_that_would_begin_in_the_padding_is_dropped(
    op_type: str, shape: Shape, attributes: str
) -> None:
    """From opset 22 on: before, onnx infers another shape than runtimes compute."""
    sizes = ",".join("hw"[: len(shape) - 2])
    for extra in ("", ", count_include_pad=1") if op_type == "AveragePool" else ("",):
        for dims in (None, f"n,3,{sizes}"):
            gradcheck.check(f"y = {op_type}<{attributes}{extra}>(x)", shape, dims=dims, opset=22)


@pytest.mark.parametrize("dims", ["batch,3,4,5", "2,3,4,5", "n,3,h,w", "n,c,h,w"])
def test_global_average_pool(dims: str) -> None:
    gradcheck.check("y = GlobalAveragePool(x)", (2, 3, 4, 5), dims=dims)
    gradcheck.check("g = GlobalAveragePool(x) f = Flatten(g) y = Tanh(f)", (2, 3, 4, 5), dims=dims)


def test_global_average_pool_of_other_ranks() -> None:
    gradcheck.check("y = GlobalAveragePool(x)", (2, 3, 7))
    gradcheck.check("y = GlobalAveragePool(x)", (2, 3, 2, 3, 4))


def test_max_pool_with_dynamic_image_sizes() -> None:
    text = "y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(x)"
    gradcheck.check(text, (2, 3, 7, 6), dims="n,c,h,w")


@pytest.mark.parametrize(("shape", "attributes"), GEOMETRIES, ids=str)
@pytest.mark.parametrize("with_pads", [0, 1])
def test_average_pool_with_dynamic_image_sizes(shape: Shape, attributes: str, with_pads: int) -> None:
    text = f"y = AveragePool<{attributes}, count_include_pad={with_pads}>(x)"
    gradcheck.check(text, shape, dims=f"n,3,{','.join('hwd'[: len(shape) - 2])}")


def test_average_pool_says_what_it_needs_fixed() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"AveragePool .*fixed number of channels"):
        gradcheck.check("y = AveragePool<kernel_shape=[2, 2]>(x)", (2, 3, 6, 6), dims="n,c,6,6")


def test_max_pool_feeding_two_readers_and_keeping_its_indices() -> None:
    text = "m, where = MaxPool<kernel_shape=[2, 2]>(x) t = Tanh(m) y = Mul(m, t)"
    gradcheck.check(text, (2, 3, 4, 4))
    text = "m = MaxPool<kernel_shape=[2, 2], storage_order=1>(x) y = Neg(m)"
    gradcheck.check(text, (2, 3, 4, 4))


TIES = [
    # As PyTorch: the first maximum of each window, in reading order, takes all.
    ([[1, 1, 0], [1, 1, 2], [0, 2, 2]], "kernel_shape=[2, 2]", [[1, 0, 0], [0, 0, 2], [0, 1, 0]]),
    ([[5, 5, 5], [5, 5, 5], [5, 5, 5]], "kernel_shape=[3, 3]", [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ([[3, 3, 3, 3]], "kernel_shape=[1, 3], pads=[0, 1, 0, 1]", [[2, 1, 1, 0]]),
    # Zeros of the padding do not win over negative elements, nor tie with zeros.
    ([[-1, -2], [-3, -4]], "kernel_shape=[3, 3], pads=[1, 1, 1, 1]", [[4, 0], [0, 0]]),
    ([[0, 0], [0, 0]], "kernel_shape=[3, 3], pads=[1, 1, 1, 1]", [[4, 0], [0, 0]]),
]


@pytest.mark.parametrize(("x", "attributes", "expected"), TIES)
def test_max_pool_ties(x: list, attributes: str, expected: list) -> None:
    found = gradcheck.evaluate(f"y = MaxPool<{attributes}>(x)", np.array([[x]], np.float32))
    np.testing.assert_array_equal(found.single, [[expected]])
    np.testing.assert_array_equal(found.double, [[expected]])


AVERAGES = [
    # Two windows over [pad, x0, x1, x2]: pads are left out of the count, or are in it.
    ("kernel_shape=[1, 2], strides=[1, 2], pads=[0, 1, 0, 0]", 0, [1, 1 / 2, 1 / 2]),
    ("kernel_shape=[1, 2], strides=[1, 2], pads=[0, 1, 0, 0]", 1, [1 / 2, 1 / 2, 1 / 2]),
    # ceil_mode: x0 x1, then x2 alone, whose window's missing element never counts.
    ("kernel_shape=[1, 2], strides=[1, 2], ceil_mode=1", 0, [1 / 2, 1 / 2, 1]),
    ("kernel_shape=[1, 2], strides=[1, 2], ceil_mode=1", 1, [1 / 2, 1 / 2, 1]),
]


@pytest.mark.parametrize(("attributes", "with_pads", "expected"), AVERAGES)
def test_average_pool_counts(attributes: str, with_pads: int, expected: list) -> None:
    text = f"y = AveragePool<{attributes}, count_include_pad={with_pads}>(x)"
    found = gradcheck.evaluate(text, np.zeros((1, 1, 1, 3)))
    np.testing.assert_allclose(found.single, [[[expected]]])


@pytest.mark.parametrize(
    "attributes", ["kernel_shape=[40, 50], strides=[40, 50]", "kernel_shape=[9, 7], pads=[3, 1, 3, 1]"]
)
@pytest.mark.parametrize("with_pads", [0, 1])
def test_a_window_larger_than_the_image(attributes: str, with_pads: int) -> None:
    text = f"y = AveragePool<{attributes}, ceil_mode=1, count_include_pad={with_pads}>(x)"
    gradcheck.check(text, (2, 3, 5, 6), dims="batch,3,5,6")
