"""Resize in every mode, against central differences and ONNX Runtime's own forward pass."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
SHAPE = (2, 3, 4, 5)


def check(attributes: str, operands: str, shape: tuple[int, ...] = SHAPE, **options: object) -> None:
    gradcheck.check(f"y = Resize<{attributes}>(x, {operands})", shape, **options)


def scales(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("sizes", [[8, 15], [7, 8], [3, 2], [4, 5], [1, 1]], ids=str)
def test_nearest(sizes: list[int], rounding: str, coordinates: str) -> None:
    attributes = f'mode="nearest", nearest_mode="{rounding}", coordinate_transformation_mode="{coordinates}"'
    check(f"{attributes}, axes=[2, 3]", ", , s", opset=19, s=sizes)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("sizes", [[8, 15], [7, 8], [3, 2], [2, 9]], ids=str)
def test_linear_and_cubic(sizes: list[int], mode: str, coordinates: str) -> None:
    attributes = f'mode="{mode}", coordinate_transformation_mode="{coordinates}"'
    check(f"{attributes}, axes=[2, 3]", ", , s", opset=19, s=sizes)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("sizes", [[8, 10], [2, 3], [3, 2]], ids=str)
def test_antialias(sizes: list[int], mode: str) -> None:
    check(f'mode="{mode}", antialias=1, axes=[2, 3]', ", , s", s=sizes)


@pytest.mark.parametrize("antialias", [0, 1])
def test_weights_outside_are_excluded(antialias: int) -> None:
    attributes = f'mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5, antialias={antialias}, axes=[2, 3]'
    check(attributes, ", , s", s=[7, 3])


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("numbers", [(1, 1, 2, 3), (1, 1, 1.5, 2.5), (1, 1, 0.5, 0.7), (1, 1, 2, 1)], ids=str)
@pytest.mark.parametrize("dims", ["2,3,4,5", "a,3,4,5", "a,b,c,d"])
def test_scales(dims: str, numbers: tuple[float, ...], mode: str) -> None:
    check(f'mode="{mode}"', ", s", dims=dims, s=scales(*numbers))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_computed_sizes(mode: str) -> None:
    sizes = "n = Shape<end=2>(x) h = Shape<start=2>(x) k = Mul(h, two) s = Concat<axis=0>(n, k)"
    text = f'{sizes} y = Resize<mode="{mode}">(x, , , s)'
    gradcheck.check(text, SHAPE, dims="a,b,c,d", two=[2])
    gradcheck.check(text, SHAPE, dims="a,3,4,5", two=[2])
    text = (
        f'h = Shape<start=2>(x) f = Cast<to=1>(h) s = Sqrt(f) y = Resize<mode="{mode}", axes=[2, 3]>(x, , s)'
    )
    gradcheck.check(text, SHAPE, dims="a,b,c,d")


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("sizes", [[3, 7], [5, 4]], ids=str)
def test_a_region_of_interest(mode: str, sizes: list[int]) -> None:
    attributes = (
        f'mode="{mode}", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0'
    )
    roi = np.array([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2], np.float32)
    check(attributes, "r, , s", r=roi, s=[2, 3, *sizes], dims="2,3,4,5")
    check(f"{attributes}, axes=[2, 3]", "r, , s", r=roi[[2, 3, 6, 7]], s=sizes)


@pytest.mark.parametrize(("shape", "sizes"), [((2, 3, 5), [9]), ((2, 2, 3, 4, 5), [4, 6, 3])], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_one_and_three_spatial_axes(shape: tuple[int, ...], sizes: list[int], mode: str) -> None:
    check(f'mode="{mode}"', ", , s", shape, s=[*shape[:2], *sizes], dims=",".join(map(str, shape)))


def test_channels_last() -> None:
    check('mode="linear"', ", s", (2, 4, 5, 3), s=scales(1, 2, 3, 1))


def test_a_kept_aspect_ratio_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="aspect ratio"):
        check('mode="linear", keep_aspect_ratio_policy="not_larger", axes=[2, 3]', ", , s", s=[8, 8])


def test_float64_of_one_to_one_is_the_identity() -> None:
    check('mode="linear"', ", s", s=scales(1, 1, 1, 1))
