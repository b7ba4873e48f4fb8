"""Cards: photo, heat map and overlay side by side, with a key and a caption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fluxpath.runtime.pictures import Drawing, card, heatmap, overlay, picture
from fluxpath.runtime.pictures.colours import coloured
from fluxpath.runtime.pictures.text import BACKGROUND


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def signed(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def gap_of(sheet: Image.Image) -> int:
    return int((np.asarray(sheet) != BACKGROUND).any(-1).any(1).argmax())


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 8, 8), (3, 32, 32), (40, 100), (3, 300, 120)])
@pytest.mark.parametrize("under", ["grayscale", "original", "mask", "none"])
def test_the_three_pictures_stand_side_by_side(shape: tuple[int, ...], under: Any) -> None:
    image, values = photo(*shape), signed(*shape)
    drawing = Drawing(overlay=under, polarity="both", outlines=3)
    sheet = card(image, values, "a caption", drawing)
    gap = gap_of(sheet)
    on_photo = replace(drawing, overlay="grayscale") if under == "none" else drawing
    panels = [picture(image), heatmap(values, replace(drawing, outlines=0)), overlay(image, values, on_photo)]
    w, h = panels[0].size
    for k, panel in enumerate(panels):
        left = gap + k * (w + gap)
        np.testing.assert_array_equal(sheet.crop((left, gap, left + w, gap + h)), panel)
    assert sheet.width == 3 * w + 4 * gap


@pytest.mark.parametrize(
    ("polarity", "ends"), [("positive", (0, 1)), ("negative", (-1, 0)), ("both", (-1, 1))]
)
def test_the_key_runs_from_against_to_for(polarity: Any, ends: tuple[int, int]) -> None:
    sheet = card(photo(3, 224, 224), signed(3, 224, 224), "", Drawing(polarity=polarity))
    gap = gap_of(sheet)
    colormap = {"positive": "ember", "negative": "frost", "both": "polar"}[polarity]
    row = [sheet.getpixel((224 + 2 * gap + x, 224 + 2 * gap)) for x in (0, 223)]
    np.testing.assert_allclose(row, coloured(np.array(ends, float), colormap), atol=0.51)
    ink = np.asarray(sheet.convert("L"))[224 + 2 * gap + gap + 1 :] < 200
    written = [ink[:, 224 + 2 * gap : 336 + gap].any(), ink[:, 336 + gap : 448 + 2 * gap].any()]
    assert written == [polarity != "positive", polarity != "negative"]


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "cat",
        "a very long caption " * 40,
        "w" * 4000,
        "犬 кот \ud800\u202e éclair\t\x00",
        "a\nb\nc\nd\ne\nf",
    ],
)
def test_a_caption_of_any_length_and_script_stays_on_the_card(caption: str) -> None:
    for size in (24, 224):
        sheet = card(photo(3, 8, 8), signed(3, 8, 8), caption, Drawing(size=size))
        assert sheet.width == card(photo(3, 8, 8), signed(3, 8, 8), "", Drawing(size=size)).width
        ink = np.asarray(sheet.convert("L")) < 200
        assert not ink[:, [0, 1, -2, -1]].any() and not ink[-2:].any()
        assert sheet.height < 3 * size + 120


def test_longer_captions_make_the_card_higher_up_to_four_lines() -> None:
    def height(caption: str) -> int:
        return card(photo(3, 224, 224), signed(3, 224, 224), caption).height

    heights = [height("\n".join("x" * n)) for n in (1, 2, 4, 9)]
    assert heights[0] < heights[1] < heights[2] == heights[3]
