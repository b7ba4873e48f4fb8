"""Heat maps and overlays against slow plain twins (loops over pixels, in float64), and their edges."""

from __future__ import annotations

import math
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Drawing, heatmap, overlay, picture
from fluxpath.runtime.pictures.colours import COLORMAPS
from fluxpath.runtime.pictures.drawing import OVERLAYS
from fluxpath.runtime.pictures.maps import evidence, weights

DARKEST = (0x06, 0x10, 0x28)  # of "ember"


def signed(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def drawn(values: np.ndarray, drawing: Drawing) -> np.ndarray:
    """The weights; `test_maps.py` has their twin."""
    return weights(evidence(values, drawing), drawing)


# --- slow twins


def slow_colour(weight: float, colormap: str) -> list[float]:
    codes = COLORMAPS[colormap].split()
    anchors = [[int(code[k : k + 2], 16) for k in (0, 2, 4)] for code in codes]
    place = ((weight + 1) / 2 if colormap == "polar" else abs(weight)) * (len(anchors) - 1)
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


# --- heatmap


@pytest.mark.parametrize(
    ("polarity", "colormap"),
    [
        ("positive", "ember"),
        ("negative", "frost"),
        ("both", "polar"),
        ("both", "grey"),
        ("positive", "polar"),
    ],
)
@pytest.mark.parametrize("shape", [(3, 8, 6), (8, 6), (5, 8, 6)])
def test_heatmap_is_its_slow_twin(polarity: Any, colormap: str, shape: tuple[int, ...]) -> None:
    values = signed(*shape)
    default = {"positive": "ember", "negative": "frost", "both": "polar"}[polarity] == colormap
    drawing = Drawing(polarity=polarity, colormap=None if default else colormap, size=8)
    image = heatmap(values, drawing)
    assert image.mode == "RGB"
    expected = [[slow_colour(w, colormap) for w in row] for row in drawn(values, drawing)]
    np.testing.assert_allclose(np.asarray(image, float), expected, atol=0.51)


def test_a_constant_heatmap_is_the_lowest_colour() -> None:
    assert heatmap(np.ones((3, 1, 1)), Drawing(size=1)).getpixel((0, 0)) == DARKEST
    assert heatmap(np.ones((5, 4)), Drawing(size=20)).getcolors() == [(20 * 16, DARKEST)]


def test_small_images_show_their_pixels() -> None:
    """Enlarged by nearest-neighbour, without a size by a whole number, and not blurred."""
    for h, w, factor in [(8, 8, 28), (28, 28, 8), (32, 32, 7), (30, 30, 8), (64, 20, 4)]:
        values, image = signed(3, h, w), photo(3, h, w)
        at_size = Drawing(size=max(h, w))
        for small, large in (
            (heatmap(values, at_size), heatmap(values)),
            (overlay(image, values, at_size), overlay(image, values)),
            (picture(image, max(h, w)), picture(image)),
        ):
            assert large.size == (w * factor, h * factor)
            np.testing.assert_array_equal(large, np.asarray(small).repeat(factor, 0).repeat(factor, 1))


def test_without_a_size_larger_images_keep_theirs_but_not_below_224() -> None:
    for h, w, size in [
        (65, 65, (224, 224)),
        (224, 224, (224, 224)),
        (300, 150, (150, 300)),
        (100, 80, (180, 224)),
    ]:
        assert heatmap(signed(1, h, w)).size == size
        assert overlay(photo(1, h, w), signed(1, h, w)).size == size


def test_a_size_is_the_longer_side() -> None:
    cases = [(8, 4, 80), (4, 8, 80), (1, 300, 100), (70, 140, 35)]
    sizes = [heatmap(signed(3, h, w), Drawing(size=size)).size for h, w, size in cases]
    assert sizes == [(40, 80), (80, 40), (100, 1), (35, 18)]  # (width, height)


def test_a_large_heatmap_is_resized_bicubically_and_then_coloured() -> None:
    drawing = Drawing(size=280, smooth=0)
    values = signed(3, 70, 5)
    smooth = slow_cubic(slow_cubic(drawn(values, drawing), 4).T, 4).T
    assert smooth.min() < -0.01  # it overshoots, so clipping matters
    expected = [[slow_colour(min(max(x, 0), 1), "ember") for x in row] for row in smooth]
    np.testing.assert_allclose(np.asarray(heatmap(values, drawing), float), expected, atol=0.51)


# --- overlay


@pytest.mark.parametrize("shape", [(1, 7, 9), (3, 7, 9), (7, 9)])
@pytest.mark.parametrize("under", ["original", "grayscale", "mask"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_overlay_is_its_slow_twin(shape: tuple[int, ...], under: Any, kind: Any) -> None:
    levels, values = photo(*shape), signed(3, 7, 9)
    image = levels if kind is np.uint8 else (levels / 255).astype(kind)
    drawing = Drawing(
        polarity="both", overlay=under, size=9, alpha=0.7, brightness=0.9, clip_percent_lowerbound=40
    )
    weight = drawn(values, drawing)
    colours = np.broadcast_to(levels, (3, 7, 9))  # one channel is grey
    expected = np.zeros((7, 9, 3))
    for i in range(7):
        for j in range(9):
            r, g, b = (float(x) for x in colours[:, i, j])
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            o = min(1.0, 2 * abs(weight[i, j]))
            heat = slow_colour(weight[i, j], "polar")
            for k, ground in enumerate([luma] * 3 if under == "grayscale" else [r, g, b]):
                blend = (1 - 0.7 * o) * 0.9 * ground + 0.7 * o * heat[k]
                expected[i, j, k] = o * ground if under == "mask" else blend
    result = overlay(image, values, drawing)
    assert result.mode == "RGB"
    np.testing.assert_allclose(np.asarray(result, float), expected, atol=0.51)


def test_an_overlay_of_none_is_the_heat_alone() -> None:
    image, values, alone = photo(3, 20, 20), signed(3, 20, 20), Drawing(overlay="none", outlines=10)
    np.testing.assert_array_equal(overlay(image, values, alone), heatmap(values, alone))


def test_what_does_not_count_shows_the_image_less_bright() -> None:
    red = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    flat = np.ones((3, 1, 1))
    assert overlay(red, flat).getpixel((0, 0)) == (50, 50, 50)  # 255 * 0.299 * 0.65
    assert overlay(red, flat, Drawing(overlay="original")).getpixel((0, 0)) == (166, 0, 0)
    assert overlay(red, flat, Drawing(overlay="mask")).getpixel((0, 0)) == (0, 0, 0)
    assert overlay(np.ones((1, 1)), flat).getpixel((0, 0)) == (166, 166, 166)


def test_a_large_overlay_clips_what_bicubic_resizing_overshoots() -> None:
    image, values, drawing = (
        photo(1, 70, 8) // 128 * 255,
        signed(3, 70, 8),
        Drawing(size=280, smooth=0, brightness=1),
    )
    ground = slow_cubic(slow_cubic(image[0].astype(float), 4).T, 4).T
    weight = slow_cubic(slow_cubic(drawn(values, drawing), 4).T, 4).T
    assert ground.min() < -20 < 275 < ground.max()
    expected = np.zeros((280, 32, 3))
    for i in range(280):
        for j in range(32):
            g, n = min(max(ground[i, j], 0), 255), min(max(weight[i, j], 0), 1)
            o = 0.9 * min(1, 2 * n)
            expected[i, j] = [(1 - o) * g + o * heat for heat in slow_colour(n, "ember")]
    np.testing.assert_allclose(np.asarray(overlay(image, values, drawing), float), expected, atol=0.51)


def test_a_picture_is_the_image() -> None:
    levels = photo(3, 70, 70)
    assert np.asarray(picture(levels, 70)).tolist() == levels.transpose(1, 2, 0).tolist()
    assert np.asarray(picture(levels[0] / 255, 70)).tolist() == levels[0][..., None].repeat(3, 2).tolist()


def test_outlines_lie_on_the_heat_and_the_overlay() -> None:
    values = np.zeros((1, 80, 80))
    values[0, 20:60, 20:60] = 1
    bare, lined = (
        np.asarray(overlay(photo(3, 80, 80), values, Drawing(size=80, outlines=p))) for p in (0, 10)
    )
    changed = (bare != lined).any(-1)
    assert changed.any() and changed.sum() < 1200
    assert {tuple(c) for c in lined[changed]} == {(0, 0, 0), (255, 255, 255)}


def test_rounding_beyond_the_range_of_a_float_image_is_clipped() -> None:
    drawing = Drawing(brightness=1.0, size=2)
    shown = overlay(np.array([[1.0005, -0.0005]]), np.zeros((1, 2)), drawing)
    assert np.asarray(shown).tolist() == [[[255] * 3, [0] * 3]]


# --- refusals


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([np.zeros(s) for s in [(3, 4, 5), (2, 4, 4), (4, 4, 3), (4,), (1, 3, 4, 4)]], "channels of (4, 4)"),
        ([np.ones((4, 4), kind) for kind in (np.uint16, int, bool, complex)], "must be uint8 or float, got"),
        ([np.full((4, 4), x) for x in (1.1, -0.1, math.nan, math.inf)], "a float image must be in [0,1]"),
    ],
)
def test_bad_images_are_refused(images: list[np.ndarray], said: str) -> None:
    for image in images:
        with pytest.raises(InputError, match=re.escape(said)):
            overlay(image, signed(3, 4, 4))


def test_bad_attributions_are_refused() -> None:
    for values in (np.zeros(4), np.full((3, 4, 4), math.nan)):
        for draw in (heatmap, lambda v: overlay(photo(3, 4, 4), v)):
            with pytest.raises(InputError, match="attributions must be"):
                draw(values)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="1 or 3 channels"):
        picture(np.zeros((3, 0, 4)))


@pytest.mark.parametrize("outlines", [0, 5])
def test_a_large_picture_takes_little_memory(outlines: int) -> None:
    """Of floats only a band is held: as float64 at once, the colours would take some 100 bytes a pixel."""
    random, side = np.random.default_rng(0), 1024
    image, values = random.random((3, 32, 32)), random.normal(size=(3, 32, 32))
    tracemalloc.start()
    try:
        overlay(image, values, Drawing(size=side, overlay="original", outlines=outlines))
        assert tracemalloc.get_traced_memory()[1] < 45 * side**2
    finally:
        tracemalloc.stop()


def test_bands_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    image, values = random.random((3, 40, 70)), random.normal(size=(3, 40, 70))
    for overlaid in OVERLAYS:
        drawing = Drawing(overlay=overlaid, polarity="both", outlines=5)
        whole = np.asarray(overlay(image, values, drawing))
        with monkeypatch.context() as narrow:
            narrow.setattr("fluxpath.runtime.pictures.overlays.BAND", 1000)
            np.testing.assert_array_equal(np.asarray(overlay(image, values, drawing)), whole)


class Unreadable:
    """Whose conversion fails, for a reason of its own."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("the file is gone")


def test_what_numpy_cannot_read_is_said() -> None:
    drawable = signed(4, 4)
    for draw in (lambda: heatmap(Unreadable()), lambda: overlay(drawable, Unreadable())):
        with pytest.raises(InputError, match="attributions cannot be read as one array: the file is gone"):
            draw()
    for draw in (lambda: picture(Unreadable()), lambda: overlay(Unreadable(), drawable)):
        with pytest.raises(InputError, match="the image cannot be read as one array: the file is gone"):
            draw()


def test_a_tensor_that_requires_a_gradient_is_drawn() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values, image = signed(4, 4), photo(4, 4) / 255
    tensors = [torch.tensor(a, requires_grad=True) for a in (image, values)]
    np.testing.assert_array_equal(np.asarray(overlay(*tensors)), np.asarray(overlay(image, values)))


@pytest.mark.parametrize("wrong", ["both", {"size": 5}, 3], ids=repr)
def test_a_drawing_is_a_drawing(wrong: Any) -> None:
    for draw in (lambda: heatmap(signed(4, 4), wrong), lambda: overlay(photo(4, 4), signed(4, 4), wrong)):
        with pytest.raises(InputError, match=r"it must be a fluxpath\.runtime\.pictures\.Drawing"):
            draw()
