"""Sampling at computed points, against central differences along the image and along the points."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

MODES = ["nearest", "linear", "cubic"]
PADDINGS = ["zeros", "border", "reflection"]


def points(*shape: int) -> np.ndarray:
    """A grid with a third of its coordinates outside of [-1, 1]."""
    return (np.random.default_rng(5).uniform(-1.6, 1.6, shape)).astype(np.float32)


def sample(operands: str, mode: str, padding: str, align: int) -> str:
    attributes = f'mode="{mode}", padding_mode="{padding}", align_corners={align}'
    return f"y = GridSample<{attributes}>({operands})"


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_along_the_image(mode: str, padding: str, align: int) -> None:
    gradcheck.check(sample("x, p", mode, padding, align), (2, 3, 4, 5), dims="2,3,4,5", p=points(2, 3, 4, 2))
    if mode != "cubic":
        gradcheck.check(sample("x, p", mode, padding, align), (1, 2, 3, 4, 5), p=points(1, 2, 3, 2, 3))


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_along_the_points(mode: str, padding: str, align: int) -> None:
    gradcheck.check(sample("i, x", mode, padding, align), (2, 3, 4, 2), dims="2,3,4,2", i=(2, 3, 4, 5))
    if mode != "cubic":
        gradcheck.check(sample("i, x", mode, padding, align), (1, 2, 3, 2, 3), i=(1, 2, 3, 4, 5))


def test_dynamic_sizes_and_older_names() -> None:
    gradcheck.check(
        sample("x, p", "bilinear", "zeros", 0), (2, 2, 3, 4), dims="a,b,c,d", opset=18, p=points(2, 2, 2, 2)
    )
    gradcheck.check(
        sample("x, p", "bicubic", "reflection", 1),
        (2, 2, 3, 4),
        dims="a,b,c,d",
        opset=18,
        p=points(2, 2, 2, 2),
    )


def test_nearest_has_no_slope_along_the_points() -> None:
    found = gradcheck.evaluate(sample("i, x", "nearest", "zeros", 0), points(2, 3, 4, 2), i=(2, 3, 4, 5))
    assert not found.single.any()


@pytest.mark.parametrize("padding", PADDINGS)
def test_an_axis_of_one_pixel(padding: str) -> None:
    gradcheck.check(sample("x, p", "linear", padding, 0), (1, 2, 1, 4), p=points(1, 3, 3, 2))
    found = gradcheck.evaluate(
        sample("x, p", "linear", "border", 1), np.ones((1, 2, 1, 4)), p=points(1, 3, 3, 2)
    )
    np.testing.assert_allclose(found.single.sum(), 18, rtol=1e-6)


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize(
    ("shape", "size"), [((2, 2, 3), [2, 3, 4, 5]), ((2, 3, 4), [2, 3, 2, 3, 4])], ids=str
)
def test_affine_grid(shape: tuple[int, ...], size: list[int], align: int) -> None:
    gradcheck.check(f"y = AffineGrid<align_corners={align}>(x, s)", shape, s=size)
    computed = "k = Shape<end=1>(x) n = Concat<axis=0>(k, s) y = AffineGrid(x, n)"
    gradcheck.check(computed, shape, s=size[1:])


def test_a_spatial_transformer() -> None:
    """The image says how it is to be turned, and carries gradient on both ways."""
    text = """m = ReduceMean<keepdims=0>(x, axes) t = MatMul(m, w) b = Reshape(t, r)
        theta = Add(b, identity) s = Shape(x) grid = AffineGrid(theta, s) y = GridSample(x, grid)"""
    turn = {"w": np.full((3, 6), 0.1, np.float32), "identity": np.eye(2, 3, dtype=np.float32)[None]}
    gradcheck.check(text, (2, 3, 4, 4), axes=[2, 3], r=[-1, 2, 3], **turn)
