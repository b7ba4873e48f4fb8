"""Importance maps, heat maps and overlays against slow plain twins (loops over pixels), and their edges."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import COLORMAPS, heatmap, normalize, overlay

DARKEST, PALEST = (0x06, 0x10, 0x28), (0xFF, 0xF3, 0xA0)  # the ends of "ember"


def signed(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


# --- slow twins


def slow_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    k = min(int(place), len(ordered) - 2)
    return ordered[k] + (place - k) * (ordered[k + 1] - ordered[k])


def slow_normalize(values: np.ndarray, low: float = 80, high: float = 99, channels: str = "sum") -> Any:
    join = {"sum": sum, "abs": lambda v: sum(abs(x) for x in v), "max": max}[channels]
    c, h, w = values.shape
    flat = [[float(join([float(values[k, i, j]) for k in range(c)])) for j in range(w)] for i in range(h)]
    everything = [x for row in flat for x in row]
    q, u = slow_percentile(everything, low), slow_percentile(everything, high)
    return [[(min(max(x, q), u) - q) / (u - q) for x in row] for row in flat]


def slow_colour(weight: float, colormap: str = "ember") -> list[float]:
    codes = COLORMAPS[colormap].split()
    anchors = [[int(code[k : k + 2], 16) for k in (0, 2, 4)] for code in codes]
    place = weight * (len(anchors) - 1)
    k = min(int(place), len(anchors) - 2)
    return [a + (place - k) * (b - a) for a, b in zip(anchors[k], anchors[k + 1], strict=True)]


def slow_cubic(plane: np.ndarray, factor: int) -> np.ndarray:
    """Bicubic enlargement of the last axis: Keys' kernel with a = -0.5, weights renormalised at the edges."""
    out = np.zeros((plane.shape[0], plane.shape[1] * factor))
    for j in range(out.shape[1]):
        weights = []
        for k in range(plane.shape[1]):
            x = abs(k + 0.5 - (j + 0.5) / factor)
            near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            weights.append(near if x < 1 else far if x < 2 else 0.0)
        for i in range(out.shape[0]):
            out[i, j] = sum(w * v for w, v in zip(weights, plane[i], strict=True)) / sum(weights)
    return out


# --- normalize


@pytest.mark.parametrize("channels", ["sum", "abs", "max"])
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 33, 20), (4, 1, 9), (9, 4)])
@pytest.mark.parametrize(("low", "high"), [(80.0, 99.0), (0.0, 100.0), (12.5, 61.0)])
def test_normalize_is_its_slow_twin(channels: Any, shape: tuple[int, ...], low: float, high: float) -> None:
    values = signed(*shape)
    fast = normalize(values, low, high, channels=channels)
    assert fast.dtype == np.float32
    assert fast.shape == shape[-2:]
    expected = slow_normalize(values.reshape(-1, *shape[-2:]), low, high, channels)
    np.testing.assert_allclose(fast, expected, atol=1e-6)


def test_normalize_defaults_are_the_papers() -> None:
    values = signed(3, 20, 20)
    result = normalize(values)
    np.testing.assert_allclose(result, slow_normalize(values), atol=1e-6)
    assert (result == 0).sum() == 320  # 80% of 400 pixels are q
    assert (result == 1).sum() == 4  # 1% are u


def test_normalize_keeps_its_input_and_takes_any_real_dtype() -> None:
    values = signed(3, 6, 6)
    before = values.copy()
    expected = normalize(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_allclose(normalize(values.astype(np.float32)), expected, atol=1e-6)
    integers = np.arange(-50, 50).reshape(10, 10)
    np.testing.assert_array_equal(normalize(integers), normalize(integers.astype(np.float64)))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e308, 5e-324])
@pytest.mark.parametrize("shape", [(3, 7, 5), (7, 5), (1, 1, 1), (1, 1)])
def test_a_constant_map_is_all_zeros(value: float, shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(normalize(np.full(shape, value)), np.zeros(shape[-2:]))


def test_a_lone_important_pixel_shows_though_the_percentiles_tie() -> None:
    values, expected = np.zeros((3, 32, 32)), np.zeros((32, 32))
    values[1, 4, 9] = 0.25
    expected[4, 9] = 1
    np.testing.assert_array_equal(normalize(values), expected)
    np.testing.assert_array_equal(normalize(-values), np.zeros((32, 32)))


@pytest.mark.parametrize("scale", [1e-300, 5e307])
def test_huge_and_tiny_values_neither_overflow_nor_vanish(scale: float) -> None:
    values = np.clip(signed(3, 12, 12), -3, 3)
    np.testing.assert_allclose(normalize(values * scale), normalize(values), atol=1e-6)


# --- heatmap


@pytest.mark.parametrize("colormap", ["ember", "grey"])
@pytest.mark.parametrize("shape", [(3, 8, 6), (8, 6)])
def test_heatmap_is_its_slow_twin(colormap: str, shape: tuple[int, ...]) -> None:
    values = signed(*shape)
    image = heatmap(values, colormap, low=10, high=90, channels="abs")
    assert image.mode == "RGB"
    weights = slow_normalize(values.reshape(-1, 8, 6), 10, 90, "abs")
    expected = [[slow_colour(weight, colormap) for weight in row] for row in weights]
    np.testing.assert_allclose(np.asarray(image, float), expected, atol=0.51)


def test_ember_brightens_from_end_to_end() -> None:
    luma = [np.dot((0.299, 0.587, 0.114), slow_colour(k / 64)) for k in range(65)]
    assert np.diff(luma).min() > 0
    assert (slow_colour(0), slow_colour(1)) == ([*DARKEST], [*PALEST])


def test_a_constant_heatmap_is_the_lowest_colour() -> None:
    assert heatmap(np.ones((3, 1, 1))).getpixel((0, 0)) == DARKEST
    assert heatmap(np.ones((5, 4)), size=20).getcolors() == [(20 * 16, DARKEST)]


def test_heatmap_enlarges_by_nearest_neighbour() -> None:
    values = signed(3, 8, 8)
    large = np.asarray(heatmap(values, size=(24, 40)))
    np.testing.assert_array_equal(large, np.asarray(heatmap(values)).repeat(3, axis=0).repeat(5, axis=1))


def test_a_single_size_is_the_longer_side() -> None:
    cases = [(8, 4, 80), (4, 8, 80), (1, 300, 100), (4, 8, None)]
    sizes = [heatmap(signed(3, h, w), size=size).size for h, w, size in cases]
    assert sizes == [(40, 80), (80, 40), (100, 1), (8, 4)]  # (width, height)


def test_a_smooth_heatmap_resizes_the_map_bicubically_and_then_colours_it() -> None:
    values = signed(3, 6, 5)
    smooth = slow_cubic(slow_cubic(np.array(slow_normalize(values)), 4).T, 4).T
    assert smooth.min() < -0.01  # it overshoots, so clipping matters
    expected = [[slow_colour(min(max(x, 0), 1)) for x in row] for row in smooth]
    np.testing.assert_allclose(np.asarray(heatmap(values, size=24, smooth=True), float), expected, atol=0.51)


# --- overlay


@pytest.mark.parametrize("shape", [(1, 7, 9), (3, 7, 9), (7, 9)])
@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_overlay_is_its_slow_twin(shape: tuple[int, ...], grey: bool, kind: Any) -> None:
    levels, values, alpha, brightness = photo(*shape), signed(3, 7, 9), 0.7, 0.9
    image = levels if kind is np.uint8 else (levels / 255).astype(kind)
    weights = slow_normalize(values, 5, 95, "max")
    colours = np.broadcast_to(levels, (3, 7, 9))  # one channel is grey
    expected = np.zeros((7, 9, 3))
    for i in range(7):
        for j in range(9):
            r, g, b = (float(x) for x in colours[:, i, j])
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            heat, w = slow_colour(weights[i][j], "grey"), alpha * weights[i][j]
            for k, ground in enumerate([luma] * 3 if grey else [r, g, b]):
                expected[i, j, k] = (1 - w) * brightness * ground + w * heat[k]
    options: Any = {"colormap": "grey", "low": 5, "high": 95, "channels": "max"}
    result = overlay(image, values, alpha, grey=grey, brightness=brightness, **options)
    assert result.mode == "RGB"
    np.testing.assert_allclose(np.asarray(result, float), expected, atol=0.51)


def test_overlay_of_one_pixel_is_its_luma_at_three_quarters_of_its_brightness() -> None:
    red = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert overlay(red, np.ones((3, 1, 1))).getpixel((0, 0)) == (57, 57, 57)  # 255 * 0.299 * 0.75
    assert overlay(np.ones((1, 1)), np.ones((1, 1))).getpixel((0, 0)) == (191, 191, 191)


def test_overlay_enlarges_image_and_heat_alike() -> None:
    image, values = photo(3, 8, 8), signed(3, 8, 8)
    small, large = np.asarray(overlay(image, values)), np.asarray(overlay(image, values, size=32))
    np.testing.assert_array_equal(large, small.repeat(4, 0).repeat(4, 1))


def test_a_smooth_overlay_clips_what_bicubic_resizing_overshoots() -> None:
    image, values = photo(1, 8, 8) // 128 * 255, signed(3, 8, 8)
    ground = slow_cubic(slow_cubic(image[0].astype(float), 4).T, 4).T
    weights = slow_cubic(slow_cubic(np.array(slow_normalize(values)), 4).T, 4).T
    assert ground.min() < -20 < 275 < ground.max()
    expected = np.zeros((32, 32, 3))
    for i in range(32):
        for j in range(32):
            g, n = min(max(ground[i, j], 0), 255), min(max(weights[i, j], 0), 1)
            expected[i, j] = [(1 - 0.6 * n) * g + 0.6 * n * heat for heat in slow_colour(n)]
    shown = np.asarray(overlay(image, values, size=32, smooth=True, brightness=1.0), float)
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_rounding_beyond_the_range_of_a_float_image_is_clipped() -> None:
    shown = overlay(np.array([[1.0005, -0.0005]]), np.zeros((1, 2)), brightness=1.0)
    assert np.asarray(shown).tolist() == [[[255] * 3, [0] * 3]]


# --- refusals


def holding(value: float) -> np.ndarray:
    """A map [1,4,4] with this value in one pixel and one half in the others."""
    values = np.full((1, 4, 4), 0.5)
    values[0, 1, 3] = value
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (holding(math.nan), "must be finite, got NaN or infinity"),
        (holding(math.inf), "must be finite, got NaN or infinity"),
        (np.zeros(4), "got float64 [4]"),
        (np.zeros((2, 3, 4, 4)), "got float64 [2, 3, 4, 4]"),
        (np.zeros((3, 0, 4)), "got float64 [3, 0, 4]"),
        (np.zeros((0, 4, 4)), "got float64 [0, 4, 4]"),
        (np.zeros((4, 4), complex), "got complex128 [4, 4]"),
        (np.zeros((4, 4), bool), "got bool [4, 4]"),
    ],
)
def test_bad_attributions_are_refused(values: np.ndarray, said: str) -> None:
    for function in (normalize, heatmap):
        with pytest.raises(InputError, match=re.escape(said)):
            function(values)


@pytest.mark.parametrize(
    ("option", "bad", "said"),
    [
        ("low", (-1, 99, 99.5, math.nan), "0 <= low < high <= 100"),
        ("high", (101, 80, math.nan), "0 <= low < high <= 100"),
        ("channels", ("mean",), "got 'mean'"),
        ("colormap", ("jet",), "'jet', only ember, grey"),
        ("size", (0, -3, (0, 8), (8, -1)), "1 pixel or more"),
        ("alpha", (-0.1, 1.1, math.nan), "not between 0 and 1"),
        ("brightness", (-0.1, 1.1, math.nan), "not between 0 and 1"),
    ],
)
def test_bad_options_are_refused(option: str, bad: tuple[Any, ...], said: str) -> None:
    for value in bad:
        with pytest.raises(InputError, match=said):
            overlay(photo(3, 4, 4), signed(3, 4, 4), **{option: value})


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([np.zeros(s) for s in [(3, 4, 5), (2, 4, 4), (4, 4, 3), (4,), (1, 3, 4, 4)]], "channels of (4, 4)"),
        ([np.ones((4, 4), kind) for kind in (np.uint16, int, bool, complex)], "must be uint8 or float, got"),
        ([holding(x) for x in (1.1, -0.1, math.nan, math.inf)], "a float image must be in [0,1]"),
    ],
)
def test_bad_images_are_refused(images: list[np.ndarray], said: str) -> None:
    for image in images:
        with pytest.raises(InputError, match=re.escape(said)):
            overlay(image, signed(3, 4, 4))
