"""Pictures against slow plain twins (loops over pixels), and every edge of their input."""

from __future__ import annotations

import math
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fluxpath.errors import InputError
from fluxpath.runtime import picture
from fluxpath.runtime.picture import contact_sheet, heatmap, load_image, normalize, overlay, save_png


DARKEST, PALEST = tuple(picture.COLORMAPS["ember"][:3]), tuple(picture.COLORMAPS["ember"][-3:])


def signed(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def photo(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def slow_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    k = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = ordered[min(k + 1, len(ordered) - 1)]
    return ordered[k] + (place - k) * (above - ordered[k])


def slow_normalize(values: np.ndarray, low: float, high: float, channels: str) -> list[list[float]]:
    join = {"sum": sum, "abs": lambda v: sum(abs(x) for x in v), "max": max}[channels]
    c, h, w = values.shape
    flat = [[float(join([float(values[k, i, j]) for k in range(c)])) for j in range(w)] for i in range(h)]
    everything = [x for row in flat for x in row]
    q, u = slow_percentile(everything, low), slow_percentile(everything, high)
    return [[(min(max(x, q), u) - q) / (u - q) for x in row] for row in flat]


def slow_colour(weight: float, colormap: str = "ember") -> list[float]:
    table = list(picture.COLORMAPS[colormap])
    anchors = [table[k : k + 3] for k in range(0, len(table), 3)]
    place = weight * (len(anchors) - 1)
    k = min(int(place), len(anchors) - 2)
    return [float(a + (place - k) * (b - a)) for a, b in zip(anchors[k], anchors[k + 1], strict=True)]


# --- normalize


@pytest.mark.parametrize("channels", ["sum", "abs", "max"])
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 8, 8), (3, 33, 20), (4, 1, 9)])
@pytest.mark.parametrize(("low", "high"), [(80.0, 99.0), (0.0, 100.0), (12.5, 61.0)])
def test_normalize_is_its_slow_twin(channels: Any, shape: tuple[int, ...], low: float, high: float) -> None:
    values = signed(*shape)
    fast = normalize(values, low, high, channels=channels)
    assert fast.dtype == np.float32
    assert fast.shape == shape[1:]
    np.testing.assert_allclose(fast, slow_normalize(values, low, high, channels), atol=1e-6)


def test_normalize_defaults_are_the_papers() -> None:
    values = signed(3, 20, 20)
    np.testing.assert_array_equal(normalize(values), normalize(values, 80.0, 99.0, channels="sum"))
    flat = np.sort(values.sum(axis=0).ravel())
    result = np.sort(normalize(values).ravel())
    assert (result == 0).sum() == 320  # 80% of 400 pixels are q
    assert (result == 1).sum() == 4  # 1% are u
    inside = (flat[350] - np.percentile(flat, 80)) / (np.percentile(flat, 99) - np.percentile(flat, 80))
    assert result[350] == pytest.approx(inside, abs=1e-6)


def test_normalize_keeps_its_input_and_takes_any_real_dtype() -> None:
    values = signed(3, 6, 6)
    before = values.copy()
    expected = normalize(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_allclose(normalize(values.astype(np.float32)), expected, atol=1e-6)
    integers = np.arange(-50, 50).reshape(10, 10)
    np.testing.assert_array_equal(normalize(integers), normalize(integers.astype(np.float64)))
    np.testing.assert_array_equal(normalize(integers), normalize(integers[None].astype(np.float16)))


def test_a_map_of_rank_2_is_one_channel() -> None:
    values = signed(9, 4)
    for channels in ("sum", "abs", "max"):
        as_one = normalize(values[None], channels=channels)
        np.testing.assert_array_equal(normalize(values, channels=channels), as_one)
    assert not np.array_equal(normalize(values, channels="abs"), normalize(values))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e308, 5e-324])
@pytest.mark.parametrize("shape", [(3, 7, 5), (7, 5), (1, 1, 1), (1, 1)])
def test_a_constant_map_is_all_zeros(value: float, shape: tuple[int, ...]) -> None:
    result = normalize(np.full(shape, value))
    np.testing.assert_array_equal(result, np.zeros(shape[-2:], np.float32))


def test_a_lone_important_pixel_shows_though_the_percentiles_tie() -> None:
    values = np.zeros((3, 32, 32))
    values[1, 4, 9] = 0.25
    expected = np.zeros((32, 32))
    expected[4, 9] = 1
    np.testing.assert_array_equal(normalize(values), expected)
    np.testing.assert_array_equal(normalize(-values), np.zeros((32, 32)))


@pytest.mark.parametrize("scale", [1e-300, 5e307])
def test_huge_and_tiny_values_neither_overflow_nor_vanish(scale: float) -> None:
    values = np.clip(signed(3, 12, 12), -3, 3)
    np.testing.assert_allclose(normalize(values * scale), normalize(values), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    values = signed(3, 4, 4)
    values[2, 1, 3] = bad
    with pytest.raises(InputError, match=r"^attributions must be finite, got NaN or infinity$"):
        normalize(values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(4), "got float64 [4]"),
        (np.zeros((2, 3, 4, 4)), "got float64 [2, 3, 4, 4]"),
        (np.zeros((3, 0, 4)), "got float64 [3, 0, 4]"),
        (np.zeros((0, 4, 4)), "got float64 [0, 4, 4]"),
        (np.zeros((4, 4), complex), "got complex128 [4, 4]"),
        (np.zeros((4, 4), bool), "got bool [4, 4]"),
        (np.full((4, 4), "x"), "got <U1 [4, 4]"),
    ],
)
def test_other_shapes_and_dtypes_are_refused(values: np.ndarray, said: str) -> None:
    for function in (normalize, heatmap):
        with pytest.raises(InputError, match=re.escape(said)):
            function(values)


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 99), (80, 101), (99, 80), (50, 50), (math.nan, 99), (80, math.nan)]
)
def test_bad_percentiles_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="0 <= low < high <= 100"):
        normalize(signed(3, 4, 4), low, high)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(InputError, match="got 'mean'"):
        normalize(signed(3, 4, 4), channels="mean")  # type: ignore[arg-type]


# --- heatmap


def lightness(colour: list[float]) -> float:
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in (v / 255 for v in colour)]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def test_ember_climbs_evenly_in_lightness_from_dark_blue_to_pale_yellow() -> None:
    steps = np.diff([lightness(slow_colour(k / 64)) for k in range(65)])
    assert steps.min() > 0.6 * steps.mean() > 0
    assert steps.max() < 1.5 * steps.mean()
    (r0, _, b0), (r1, g1, b1) = slow_colour(0.0), slow_colour(1.0)
    assert b0 > r0
    assert lightness([*slow_colour(0.0)]) < 8
    assert min(r1, g1) > b1 > 100
    assert lightness([r1, g1, b1]) > 92


@pytest.mark.parametrize("colormap", ["ember", "grey"])
@pytest.mark.parametrize("shape", [(3, 8, 6), (1, 8, 6), (8, 6)])
def test_heatmap_is_its_slow_twin(colormap: str, shape: tuple[int, ...]) -> None:
    values = signed(*shape)
    weights = slow_normalize(values.reshape(-1, 8, 6), 10, 90, "abs")
    image = heatmap(values, colormap, low=10, high=90, channels="abs")
    assert image.mode == "RGB"
    expected = [[slow_colour(weight, colormap) for weight in row] for row in weights]
    np.testing.assert_allclose(np.asarray(image, float), expected, atol=0.51)


def test_a_constant_heatmap_is_the_lowest_colour() -> None:
    assert heatmap(np.ones((3, 1, 1))).getpixel((0, 0)) == DARKEST
    assert heatmap(np.ones((5, 4)), size=20).getcolors() == [(20 * 16, DARKEST)]


def test_heatmap_enlarges_by_nearest_neighbour() -> None:
    values = signed(3, 8, 8)
    small = np.asarray(heatmap(values))
    large = heatmap(values, size=(24, 40))
    assert large.size == (40, 24)
    np.testing.assert_array_equal(np.asarray(large), small.repeat(3, axis=0).repeat(5, axis=1))


def test_a_single_size_is_the_longer_side() -> None:
    assert heatmap(signed(3, 8, 4), size=80).size == (40, 80)
    assert heatmap(signed(3, 4, 8), size=80).size == (80, 40)
    assert heatmap(signed(3, 1, 300), size=100).size == (100, 1)
    assert heatmap(signed(3, 4, 8)).size == (8, 4)


def slow_cubic(plane: np.ndarray, factor: int) -> np.ndarray:
    """Bicubic enlargement of the last axis: Keys' kernel with a = -0.5, weights renormalised at the edges."""
    out = np.zeros((plane.shape[0], plane.shape[1] * factor))
    for j in range(out.shape[1]):
        centre = (j + 0.5) / factor
        weights = []
        for k in range(plane.shape[1]):
            x = abs(k + 0.5 - centre)
            near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            weights.append(near if x < 1 else far if x < 2 else 0.0)
        for i in range(out.shape[0]):
            out[i, j] = sum(wk * v for wk, v in zip(weights, plane[i], strict=True)) / sum(weights)
    return out


def test_a_smooth_heatmap_resizes_the_map_bicubically_and_then_colours_it() -> None:
    values = signed(3, 6, 5)
    weights = np.asarray(slow_normalize(values, 80, 99, "sum"))
    smooth = slow_cubic(slow_cubic(weights, 4).T, 4).T
    assert smooth.min() < -0.01  # it overshoots, so clipping matters
    expected = [[slow_colour(min(max(x, 0), 1)) for x in row] for row in smooth]
    image = heatmap(values, size=24, smooth=True)
    np.testing.assert_allclose(np.asarray(image, float), expected, atol=0.51)


@pytest.mark.parametrize("size", [0, -3, (0, 8), (8, -1)])
def test_a_size_below_one_pixel_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match="1 pixel or more"):
        heatmap(signed(3, 4, 4), size=size)
    with pytest.raises(InputError, match="1 pixel or more"):
        overlay(photo(3, 4, 4), signed(3, 4, 4), size=size)


def test_an_unknown_colour_map_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'jet', only ember, grey"):
        heatmap(signed(3, 4, 4), "jet")


# --- overlay


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_overlay_is_its_slow_twin(c: int, grey: bool, kind: Any) -> None:
    levels, values, alpha, brightness = photo(c, 7, 9), signed(3, 7, 9), 0.7, 0.9
    image = levels if kind is np.uint8 else (levels / 255).astype(kind)
    weights = slow_normalize(values, 80, 99, "sum")
    expected = np.zeros((7, 9, 3))
    for i in range(7):
        for j in range(9):
            r, g, b = (float(x) for x in (levels[:, i, j] if c == 3 else [levels[0, i, j]] * 3))
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            heat, w = slow_colour(weights[i][j]), alpha * weights[i][j]
            for k, ground in enumerate([luma] * 3 if grey else [r, g, b]):
                expected[i, j, k] = (1 - w) * brightness * ground + w * heat[k]
    result = overlay(image, values, alpha, grey=grey, brightness=brightness)
    assert result.mode == "RGB"
    np.testing.assert_allclose(np.asarray(result, float), expected, atol=0.51)


def test_an_image_of_rank_2_is_one_channel() -> None:
    image, values = photo(6, 6), signed(1, 6, 6)
    expected = np.asarray(overlay(image[None], values[0]))
    np.testing.assert_array_equal(np.asarray(overlay(image, values)), expected)


def test_unimportant_pixels_show_the_image_and_important_ones_the_heat() -> None:
    values = np.zeros((10, 10))
    values[:5] = 1.0
    image = photo(3, 10, 10)
    shown = np.asarray(overlay(image, values, alpha=1.0, grey=False, brightness=1.0, low=0, high=100))
    np.testing.assert_array_equal(shown[5:], np.moveaxis(image, 0, 2)[5:])
    assert np.all(shown[:5] == PALEST)
    none = np.asarray(overlay(image, values, alpha=0.0, grey=False, brightness=1.0))
    np.testing.assert_array_equal(none, np.moveaxis(image, 0, 2))


def test_overlay_of_one_pixel() -> None:
    full = overlay(np.ones((3, 1, 1)), np.ones((3, 1, 1)), brightness=1.0)
    assert full.getpixel((0, 0)) == (255, 255, 255)
    assert overlay(np.ones((1, 1)), np.ones((1, 1))).getpixel((0, 0)) == (191, 191, 191)


def test_overlay_enlarges_image_and_heat_alike() -> None:
    image, values = photo(3, 8, 8), signed(3, 8, 8)
    small = np.asarray(overlay(image, values))
    large = np.asarray(overlay(image, values, size=32))
    np.testing.assert_array_equal(large, small.repeat(4, 0).repeat(4, 1))


def test_a_smooth_overlay_clips_what_bicubic_resizing_overshoots() -> None:
    image, values = photo(1, 8, 8) // 128 * 255, signed(3, 8, 8)
    ground = slow_cubic(slow_cubic(image[0].astype(float), 4).T, 4).T
    weights = slow_cubic(slow_cubic(np.asarray(slow_normalize(values, 80, 99, "sum")), 4).T, 4).T
    assert ground.min() < -20 < 275 < ground.max()
    assert weights.min() < -0.05
    expected = np.zeros((32, 32, 3))
    for i in range(32):
        for j in range(32):
            g, n = min(max(ground[i, j], 0), 255), min(max(weights[i, j], 0), 1)
            expected[i, j] = [(1 - 0.6 * n) * g + 0.6 * n * heat for heat in slow_colour(n)]
    shown = np.asarray(overlay(image, values, size=32, smooth=True, brightness=1.0), float)
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_rounding_beyond_the_range_is_clipped_and_more_is_refused() -> None:
    image = np.full((1, 4, 4), 1.0)
    image[0, 0, 0], image[0, 3, 3] = 1.0005, -0.0005
    shown = np.asarray(overlay(image, np.zeros((4, 4)), brightness=1.0))
    assert shown[0, 0, 0] == 255
    assert shown[3, 3, 0] == 0
    for bad in (1.1, -0.1, np.nan, np.inf):
        image[0, 1, 1] = bad
        with pytest.raises(InputError, match=r"a float image must be in \[0,1\]"):
            overlay(image, np.zeros((4, 4)))


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 5, 4, 1), (2, 4, 4), (4, 4, 3), (4,), (1, 3, 4, 4)])
def test_an_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=re.escape(f"(4, 4) as its attributions, got {shape}")):
        overlay(np.zeros(shape), np.zeros((3, 4, 4)))


@pytest.mark.parametrize("kind", [np.int64, np.uint16, bool, complex, str])
def test_an_image_of_another_dtype_is_refused(kind: Any) -> None:
    with pytest.raises(InputError, match="the image must be uint8 or float, got "):
        overlay(np.ones((3, 4, 4), kind), np.zeros((3, 4, 4)))


@pytest.mark.parametrize("wrong", [{"alpha": -0.1}, {"alpha": 1.1}, {"alpha": math.nan}, {"brightness": 2}])
def test_a_share_outside_0_to_1_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="not between 0 and 1"):
        overlay(photo(3, 4, 4), signed(3, 4, 4), **wrong)


# --- contact_sheet


def plain(colour: Any, width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), colour)


def ink(sheet: Image.Image) -> np.ndarray:
    """Where a sheet of white images shows text: everything much darker than its light background."""
    return np.asarray(sheet.convert("L")) < 200


def drawn_ink(text: str, size: int) -> int:
    canvas = Image.new("RGB", (2000, 400), picture.BACKGROUND)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(canvas).text((50, 50), text, picture.INK, font, align="center")
    return int(ink(canvas).sum())


def test_the_grid_places_every_image() -> None:
    rows = [[plain((10 * i, 20 * j, 30)) for j in range(4)] for i in range(3)]
    sheet = contact_sheet(rows, cell=16, gap=3)
    assert sheet.mode == "RGB"
    assert sheet.size == (4 * 16 + 5 * 3, 3 * 16 + 4 * 3)
    expected = np.tile(np.array(picture.BACKGROUND, np.uint8), (sheet.height, sheet.width, 1))
    for i in range(3):
        for j in range(4):
            for y in range(16):
                for x in range(16):
                    expected[3 + 19 * i + y, 3 + 19 * j + x] = (10 * i, 20 * j, 30)
    np.testing.assert_array_equal(np.asarray(sheet), expected)
    assert min(picture.BACKGROUND) > 240


def test_small_images_enlarge_by_nearest_neighbour_and_large_ones_shrink() -> None:
    levels = photo(8, 8, 3)
    sheet = np.asarray(contact_sheet([[Image.fromarray(levels)]], cell=32, gap=0))
    np.testing.assert_array_equal(sheet, levels.repeat(4, 0).repeat(4, 1))
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    shrunk = np.asarray(contact_sheet([[Image.fromarray(checks.astype(np.uint8))]], cell=16, gap=0), float)
    assert abs(shrunk[4:-4, 4:-4] - 127.5).max() < 8  # averaged, where nearest-neighbour gives 0 or 255


def test_aspect_is_kept_and_the_image_is_centred() -> None:
    sheet = np.asarray(contact_sheet([[plain("red", 10, 5), plain("red", 2, 10)]], cell=20, gap=2))
    is_red = (sheet == (255, 0, 0)).all(-1)
    wide, tall = np.argwhere(is_red[:, :23]), np.argwhere(is_red[:, 23:])
    assert (wide.min(0).tolist(), wide.max(0).tolist()) == ([7, 2], [16, 21])
    assert (tall.min(0).tolist(), tall.max(0).tolist()) == ([2, 9], [21, 12])


def test_rows_may_be_ragged_and_of_any_mode() -> None:
    grey16 = Image.fromarray(np.full((4, 4), 100 * 257, np.uint16))
    rgba = plain((100, 100, 100, 255), mode="RGBA")
    rows = [[plain(100, mode="L")], [rgba, grey16], [plain((0, 0, 0, 0), mode="RGBA")]]
    sheet = contact_sheet(rows, cell=8, gap=2)
    assert [sheet.getpixel((5, y)) for y in (5, 15, 25)] == [(100,) * 3, (100,) * 3, (255,) * 3]
    empty = picture.BACKGROUND
    assert [sheet.getpixel((15, y)) for y in (5, 15, 25)] == [empty, (100,) * 3, empty]


@pytest.mark.parametrize("cell", [40, 96, 160])
def test_headers_and_labels_are_shown_whole(cell: int) -> None:
    headers = ["MFABA sharp, trapezoid", "g", "two\nlines"]
    labels = ["a rather long label", "ship\nstern"]
    sheet = contact_sheet([[plain("white")] * 3] * 2, headers, labels, cell=cell, gap=6)
    text = ink(sheet)
    expected = sum(drawn_ink(t, max(12, round(cell / 7))) for t in headers + labels)
    assert text.sum() == pytest.approx(expected, rel=0.05)  # nothing cut, nothing painted over
    for edge in (text[0], text[-1], text[:, 0], text[:, -1]):
        assert not edge.any()
    assert expected > 300


def test_headers_stand_over_their_columns_and_labels_beside_their_rows() -> None:
    white = plain("white")
    bare = contact_sheet([[white] * 3] * 3, cell=60)
    over = contact_sheet([[white] * 3] * 3, headers=["", "middle", ""], cell=60)
    assert over.width == bare.width
    rows, columns = np.nonzero(ink(over))
    assert rows.max() < over.height - bare.height  # a gap stays free
    assert abs((columns.min() + columns.max()) / 2 - over.width / 2) < 3
    beside = contact_sheet([[white] * 3] * 3, labels=["", "middle", ""], cell=60)
    assert beside.height == bare.height
    rows, columns = np.nonzero(ink(beside))
    assert columns.max() < beside.width - bare.width
    assert abs((rows.min() + rows.max()) / 2 - beside.height / 2) < 5


def test_columns_and_rows_widen_for_long_text() -> None:
    font = ImageFont.load_default(size=12)
    _, _, width, height = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
        (0, 0), "many words\n" * 4 + "g", font
    )
    sheet = contact_sheet([[plain("white")] * 3] * 2, ["many words"] * 3, cell=20, gap=5)
    assert sheet.width == 3 * math.ceil(width) + 4 * 5
    sheet = contact_sheet([[plain("white")] * 3] * 2, labels=["many words\n" * 4 + "g"] * 2, cell=20, gap=5)
    assert abs(sheet.height - 2 * height - 3 * 5) <= 8
    assert sheet.width == math.ceil(width) + 3 * 20 + 5 * 5


def test_a_bad_sheet_is_refused() -> None:
    one = plain("red")
    for rows, options, said in [
        ([], {}, "columns=0"),
        ([[], []], {}, "columns=0"),
        ([[one]], {"cell": 0}, "cell=0"),
        ([[one]], {"gap": -1}, "gap=-1"),
        ([[one, one]], {"headers": ["a"]}, "1 headers for 2 columns"),
        ([[one]], {"labels": ["a", "b"]}, "2 labels for 1 rows"),
        ([[plain(0.5, mode="F")]], {}, "mode F"),
    ]:
        with pytest.raises(InputError, match=said):
            contact_sheet(rows, **options)  # type: ignore[arg-type]


# --- load_image


def store(folder: Path, image: Image.Image | np.ndarray, name: str = "a.png", **options: Any) -> Path:
    path = folder / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def test_a_photo_comes_back_exactly(tmp_path: Path) -> None:
    levels = photo(6, 9, 3)
    path = store(tmp_path, levels)
    shapes: Any = [(3, 6, 9), (3, None, None), (None, None, None), (3, 6, None), (None, None, 9)]
    for shape in shapes:
        loaded = load_image(path, shape)
        assert loaded.dtype == np.float32
        assert loaded.flags.c_contiguous
        np.testing.assert_array_equal(loaded, (np.moveaxis(levels, 2, 0) / 255).astype(np.float32))
    assert load_image(str(path), (1, 6, 9)).shape == (1, 6, 9)


@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 255.0), (5.0, 6.0)])
def test_the_range_is_met_at_both_ends(tmp_path: Path, span: tuple[float, float]) -> None:
    path = store(tmp_path, np.arange(256, dtype=np.uint8).reshape(16, 16))
    loaded = load_image(path, (1, None, None), span)
    expected = [span[0] + (span[1] - span[0]) * k / 255 for k in range(256)]
    np.testing.assert_allclose(loaded.ravel(), expected, rtol=1e-6, atol=1e-6)
    assert (loaded.min(), loaded.max()) == span


def slow_fit(plane: np.ndarray, size: int, start: float, length: float) -> np.ndarray:
    """Pixels start .. start + length of the last axis to `size`, by a triangle filter, as Pillow does."""
    out, scale = np.zeros((plane.shape[0], size)), length / size
    for j in range(size):
        centre, reach = start + (j + 0.5) * scale, max(scale, 1.0)
        weights = [max(0.0, 1 - abs(k + 0.5 - centre) / reach) for k in range(plane.shape[1])]
        for i in range(plane.shape[0]):
            out[i, j] = sum(w * v for w, v in zip(weights, plane[i], strict=True)) / sum(weights)
    return out


@pytest.mark.parametrize(("h", "w"), [(24, 40), (40, 24)])
def test_the_short_side_is_resized_and_the_centre_kept(tmp_path: Path, h: int, w: int) -> None:
    levels = photo(h, w)
    loaded = load_image(store(tmp_path, levels), (1, 12, 12))
    if h < w:
        expected = slow_fit(slow_fit(levels, 12, 8, 24).T, 12, 0, 24).T
    else:
        expected = slow_fit(slow_fit(levels, 12, 0, 24).T, 12, 8, 24).T
    np.testing.assert_allclose(loaded[0] * 255, expected, atol=1.01)
    crop = load_image(tmp_path / "a.png", (1, 24, 24))[0] * 255  # no resizing: only the cut
    np.testing.assert_array_equal(crop.round(), levels[:, 8:32] if h < w else levels[8:32])


def test_with_one_side_given_the_aspect_is_kept(tmp_path: Path) -> None:
    path = store(tmp_path, photo(20, 50, 3))
    assert load_image(path, (3, 10, None)).shape == (3, 10, 25)
    assert load_image(path, (3, None, 100)).shape == (3, 40, 100)
    assert load_image(path, (3, None, 1)).shape == (3, 1, 1)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"), [("a.png", {}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"})]
)
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, name: str, options: Any) -> None:
    levels = photo(5, 8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(store(tmp_path, levels, name, exif=exif, **options), (1, None, None))
    np.testing.assert_array_equal((loaded[0] * 255).round(), UPRIGHT[orientation](levels))


def test_grey_and_colour_are_converted_into_each_other(tmp_path: Path) -> None:
    grey = photo(4, 4)
    loaded = load_image(store(tmp_path, grey), (3, 4, 4)) * 255
    np.testing.assert_array_equal(loaded.round(), np.stack([grey] * 3))
    assert load_image(tmp_path / "a.png", (None, 4, 4)).shape == (1, 4, 4)
    colour = photo(4, 4, 3)
    luma = np.tensordot(colour.astype(float), (0.299, 0.587, 0.114), 1)
    np.testing.assert_allclose(load_image(store(tmp_path, colour), (1, 4, 4))[0] * 255, luma, atol=1.0)
    assert load_image(tmp_path / "a.png", (None, 4, 4)).shape == (3, 4, 4)


def test_transparency_shows_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0] = [(200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51)]
    loaded = load_image(store(tmp_path, rgba), (3, 1, 3)) * 255
    expected = np.transpose([(200, 100, 0), (255, 255, 255), (244, 224, 204)])
    np.testing.assert_allclose(loaded[:, 0], expected, atol=1.0)
    la = Image.new("LA", (2, 1), (90, 255))
    la.putpixel((1, 0), (90, 0))
    np.testing.assert_allclose(load_image(store(tmp_path, la), (None, 1, 2)) * 255, [[[90, 255]]], atol=1e-4)


def test_palettes_are_resolved_with_their_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([250, 10, 20, 0, 200, 40, 7, 8, 9])
    for k in range(3):
        image.putpixel((k, 0), k)
    opaque = load_image(store(tmp_path, image), (None, 1, 3)) * 255
    np.testing.assert_allclose(opaque[:, 0].T, [(250, 10, 20), (0, 200, 40), (7, 8, 9)], atol=1e-4)
    clear = load_image(store(tmp_path, image, transparency=1), (3, 1, 3)) * 255
    np.testing.assert_allclose(clear[:, 0].T, [(250, 10, 20), (255, 255, 255), (7, 8, 9)], atol=1e-4)


def test_other_modes_load(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 100 * 257, 65535]], np.uint16)
    loaded = load_image(store(tmp_path, deep), (None, None, None)) * 255
    np.testing.assert_allclose(loaded, [[[0, 1, 100, 255]]], atol=1e-4)
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    np.testing.assert_array_equal(load_image(store(tmp_path, bits), (None, None, None)), [[[0, 1]]])
    cmyk = load_image(store(tmp_path, plain((0, 255, 255, 0), mode="CMYK"), "a.tif"), (3, 8, 8))
    assert cmyk[:, 0, 0].tolist() == [1, 0, 0]
    frames = [plain("red"), plain("blue")]
    animation = store(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert load_image(animation, (3, 8, 8))[:, 0, 0].round(2).tolist() == [1, 0, 0]


def test_a_missing_file_a_folder_and_a_text_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, said in [
        ("gone.png", "cannot be read: No such file or directory"),
        ("", "cannot be read: Is a directory"),
        ("note.png", "not an image in a format that Pillow reads"),
        ("empty.png", "not an image in a format that Pillow reads"),
    ]:
        with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))}: .*{said}$"):
            load_image(tmp_path / name, (3, 8, 8))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tif"])
def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    path = store(tmp_path, photo(40, 40, 3), name)
    load_image(path, (3, 40, 40))
    whole = path.read_bytes()
    for share in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=re.escape(str(path))):
            load_image(path, (3, 40, 40))


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path, photo(40, 40, 3))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.png: cannot be read: "):
        load_image(path, (3, 40, 40))


def test_float_pixels_and_decompression_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(tmp_path, np.ones((4, 4), np.float32), "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: cannot be read: float pixels"):
        load_image(path, (1, 4, 4))
    path = store(tmp_path, photo(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"a\.png: cannot be read: .*exceeds limit"):
        load_image(path, (1, 4, 4))


@pytest.mark.parametrize("shape", [(2, 4, 4), (0, 4, 4), (4, 4, 4), (3, 0, 4), (3, 4, -1), (1, 0, None)])
def test_a_bad_shape_is_refused(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"got shape {shape}")):
        load_image(store(tmp_path, photo(4, 4)), shape)


@pytest.mark.parametrize("span", [(1.0, 0.0), (1.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_bad_range_is_refused(tmp_path: Path, span: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="range must be finite and rising"):
        load_image(store(tmp_path, photo(4, 4)), (1, 4, 4), span)


# --- save_png


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_saved_picture_comes_back(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(photo(5, 7)).convert("I").convert(mode) if mode == "I;16" else None
    image = image or Image.fromarray(photo(5, 7, 3)).convert(mode)
    save_png(image, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as back:
        assert back.format == "PNG"
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    assert os.listdir(tmp_path) == ["a.png"]


def test_the_name_decides_nothing_and_the_rights_are_an_ordinary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ordinary").write_text("")
    save_png(plain("red"), "picture")
    with Image.open("picture") as back:
        assert back.format == "PNG"
    assert Path("picture").stat().st_mode == Path("ordinary").stat().st_mode


class HalfWritten(Image.Image):
    """An image whose encoder fails after some bytes, as a full disk would make it."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        fp.write(b"\x89PNG half of it")
        raise OSError("no space left on device")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    save_png(plain("red"), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    image = HalfWritten()
    image._mode = "RGB"
    for name in ("a.png", "b.png"):
        with pytest.raises(OSError, match="no space left"):
            save_png(image, tmp_path / name)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_the_replacement_is_whole_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen, replace = tmp_path / "a.png", [], os.replace
    save_png(plain("red"), target)

    def watch(source: Path, name: Path) -> None:
        assert source.parent == target.parent
        for path in (source, name):
            with Image.open(path) as image:
                seen.append(image.convert("RGB").getpixel((0, 0)))
        replace(source, name)

    monkeypatch.setattr(picture.os, "replace", watch)
    save_png(plain("blue"), target)
    assert seen == [(0, 0, 255), (255, 0, 0)]
    with Image.open(target) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 255)

    def refuse(source: Path, name: Path) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(picture.os, "replace", refuse)
    with pytest.raises(PermissionError):
        save_png(plain("red"), target)
    assert os.listdir(tmp_path) == ["a.png"]


def test_threads_that_write_one_name_do_not_meet(tmp_path: Path) -> None:
    colours = [(k, 2 * k, 255 - k) for k in range(16)]
    failures: list[BaseException] = []

    def work(colour: tuple[int, int, int]) -> None:
        try:
            for _ in range(10):
                save_png(plain(colour, 64, 64), tmp_path / "a.png")
                with Image.open(tmp_path / "a.png") as image:
                    image.load()
                    assert len(image.getcolors() or []) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(colour,)) for colour in colours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_missing_folder_and_an_unstorable_mode_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*gone to write to"):
        save_png(plain("red"), tmp_path / "gone" / "a.png")
    for mode, colour in [("F", 0.5), ("CMYK", (0, 0, 0, 0)), ("HSV", (0, 0, 0))]:
        with pytest.raises(InputError, match=f"mode {mode}, convert it to RGB first"):
            save_png(plain(colour, mode=mode), tmp_path / "a.png")
    assert os.listdir(tmp_path) == []
