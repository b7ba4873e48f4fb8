"""Cards, contact sheets and strips: where images and texts land, against plain counting of pixels."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Drawing, heatmap, overlay, picture
from fluxpath.runtime.pictures.colours import coloured
from fluxpath.runtime.pictures.sheet import BACKGROUND, INK, card, contact_sheet, strip
from fluxpath.runtime.pictures.text import line_height


def plain(colour: Any, width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), colour)


def ink(sheet: Image.Image) -> np.ndarray:
    """Where a sheet of white images shows text: everything much darker than its light background."""
    return np.asarray(sheet.convert("L")) < 200


def drawn_ink(text: str, size: int) -> int:
    """How many pixels a text covers where nothing cuts it."""
    canvas = Image.new("RGB", (2000, 400), BACKGROUND)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(canvas).text((50, 50), text, INK, font, align="center")
    return int(ink(canvas).sum())


def test_the_grid_places_every_image() -> None:
    rows = [[plain((10 * i, 20 * j, 30)) for j in range(4)] for i in range(3)]
    sheet = contact_sheet(rows, cell=16, gap=3)
    assert sheet.mode == "RGB"
    expected = np.tile(np.array(BACKGROUND, np.uint8), (3 * 16 + 4 * 3, 4 * 16 + 5 * 3, 1))
    for i in range(3):
        for j in range(4):
            for y in range(16):
                for x in range(16):
                    expected[3 + 19 * i + y, 3 + 19 * j + x] = (10 * i, 20 * j, 30)
    np.testing.assert_array_equal(np.asarray(sheet), expected)
    assert min(BACKGROUND) > 240


def test_small_images_enlarge_by_nearest_neighbour_and_large_ones_shrink() -> None:
    levels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
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
    grey, white = (100, 100, 100), (255, 255, 255)
    assert [sheet.getpixel((5, y)) for y in (5, 15, 25)] == [grey, grey, white]
    assert [sheet.getpixel((15, y)) for y in (5, 15, 25)] == [BACKGROUND, grey, BACKGROUND]


@pytest.mark.parametrize("cell", [40, 96, 160])
def test_headers_and_labels_are_shown_whole(cell: int) -> None:
    headers = ["MFABA sharp, trapezoid", "g", "two\nlines"]
    labels = ["a rather long label", "ship\nstern"]
    text = ink(contact_sheet([[plain("white")] * 3] * 2, headers, labels, cell=cell, gap=6))
    expected = sum(drawn_ink(t, max(12, round(cell / 7))) for t in headers + labels)
    assert expected > 300
    assert text.sum() == pytest.approx(expected, rel=0.05)  # nothing cut, nothing painted over
    for edge in (text[0], text[-1], text[:, 0], text[:, -1]):
        assert not edge.any()


def test_headers_stand_over_their_columns_and_labels_beside_their_rows() -> None:
    grid, texts = [[plain("white")] * 3] * 3, ["", "middle", ""]
    bare = contact_sheet(grid, cell=60)
    over, beside = contact_sheet(grid, headers=texts, cell=60), contact_sheet(grid, labels=texts, cell=60)
    assert (over.width, beside.height) == bare.size
    rows, columns = np.nonzero(ink(over))
    assert rows.max() < over.height - bare.height  # a gap stays free
    assert abs((columns.min() + columns.max()) / 2 - over.width / 2) < 3
    rows, columns = np.nonzero(ink(beside))
    assert columns.max() < beside.width - bare.width
    assert abs((rows.min() + rows.max()) / 2 - beside.height / 2) < 5


def test_columns_and_rows_widen_for_long_text() -> None:
    text = "many words\n" * 4 + "g"
    ruler = ImageDraw.Draw(plain("white"))
    _, _, width, height = ruler.textbbox((0, 0), text, ImageFont.load_default(size=12))
    grid = [[plain("white")] * 3] * 2
    sheet = contact_sheet(grid, headers=["many words"] * 3, cell=20, gap=5)
    assert sheet.width == 3 * math.ceil(width) + 4 * 5
    sheet = contact_sheet(grid, labels=[text] * 2, cell=20, gap=5)
    assert abs(sheet.height - 2 * height - 3 * 5) <= 8
    assert sheet.width == math.ceil(width) + 3 * 20 + 5 * 5


ONE = plain("red")


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([], {}, "columns=0"),
        ([[], []], {}, "columns=0"),
        ([[ONE]], {"cell": 0}, "cell=0"),
        ([[ONE]], {"gap": -1}, "gap=-1"),
        ([[ONE, ONE]], {"headers": ["a"]}, "1 headers for 2 columns"),
        ([[ONE]], {"labels": ["a", "b"]}, "2 labels for 1 rows"),
        (
            [[ONE]],
            {"captions": [["a", "b"]]},
            "give one caption per image, or none, got rows of [2] captions",
        ),
        ([[ONE], [ONE]], {"captions": [["a"]]}, "give one caption per image"),
        ([[plain(0.5, mode="F")]], {}, "mode F"),
    ],
)
def test_a_bad_sheet_is_refused(rows: Any, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        contact_sheet(rows, **options)


def test_captions_stand_below_their_images_and_rows_move_apart() -> None:
    grid = [[plain("white", 60, 60)] * 3] * 2
    captions = [["one", "", "a caption of several lines, and none is wider than the cell"], ["", "", ""]]
    bare, sheet = contact_sheet(grid, cell=60, gap=6), contact_sheet(grid, cell=60, gap=6, captions=captions)
    lines = (sheet.height - bare.height) / line_height(10)
    assert (sheet.width, lines) == (bare.width, 4 + 1)
    text = ink(sheet)
    assert not text[:66].any()  # the first row of images
    under = text[66 : 66 + 4 * line_height(10)]
    assert [under[:, 6 + 66 * k : 66 + 66 * k].any() for k in range(3)] == [True, False, True]
    assert not text[66 + 4 * line_height(10) :].any()
    rows, columns = np.nonzero(under[:, :69])
    assert abs((columns.min() + columns.max()) / 2 - 36) < 3 and rows.max() < line_height(10)


def test_letters_that_the_font_lacks_do_no_harm() -> None:
    names = ["\u72ac", "caf\u00e9\ud800"]
    sheet = contact_sheet([[plain("white")] * 2], names, ["\u202e\u043a\u043e\u0442"], captions=[names])
    assert ink(sheet).sum() > 100


# --- strips


def test_a_strip_shows_the_points_and_their_scores() -> None:
    points = np.stack([np.full((3, 20, 20), k / 10, np.float32) for k in range(10)])
    shown = strip(points, np.linspace(1, 0, 10), most=4, cell=40)
    levels = [shown.getpixel((8 + 48 * k + 20, 28))[0] for k in range(4)]  # type: ignore[index]
    assert levels == pytest.approx([25.5 * k for k in (0, 3, 6, 9)], abs=0.51)
    assert shown.width == 4 * 40 + 5 * 8
    assert ink(shown)[49:].any() and not ink(strip(points[9:], [1.0], cell=40))[:48].any()


def test_a_strip_of_few_points_shows_each_once_and_a_title_stands_above() -> None:
    points = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    plain_strip, titled = (
        strip(points, [3, 2, 1], ["a", "b", "c"]),
        strip(points, [3, 2, 1], ["a", "b", "c"], title="x"),
    )
    assert plain_strip.width == titled.width == 3 * 160 + 4 * 8
    top = titled.height - plain_strip.height
    np.testing.assert_array_equal(titled.crop((0, top, *titled.size)), plain_strip)
    assert ink(titled)[:top].any()


@pytest.mark.parametrize(
    ("points", "scores", "options", "said"),
    [
        (np.zeros((0, 3, 4, 4)), [], {}, "got 0 points"),
        (np.zeros((2, 4, 4)), [1.0], {}, "got 2 points, scores float64 [1]"),
        (np.zeros((2, 4, 4)), ["a", "b"], {}, "scores <U1 [2]"),
        (np.zeros((2, 4, 4)), [1.0, 2.0], {"labels": ["a"]}, "and 1 labels"),
        (np.zeros((2, 4, 4)), [1.0, 2.0], {"most": 0}, "most is 0"),
        (np.full((1, 4, 4), 2.0), [1.0], {}, "a float image must be in [0,1]"),
    ],
)
def test_a_bad_strip_is_refused(points: Any, scores: Any, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        strip(points, scores, **options)


# --- cards


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


@pytest.mark.parametrize(
    "wrong", [None, np.zeros((4, 4, 3), np.uint8), "a.png"], ids=["None", "array", "path"]
)
def test_a_sheet_is_made_of_pil_images(wrong: Any) -> None:
    with pytest.raises(InputError, match="a sheet is made of PIL images"):
        contact_sheet([[Image.new("RGB", (4, 4)), wrong]])


def test_a_cards_drawing_is_a_drawing() -> None:
    with pytest.raises(InputError, match=r"it must be a fluxpath\.runtime\.pictures\.Drawing"):
        card(np.zeros((4, 4)), np.zeros((4, 4)), "", "both")  # type: ignore[arg-type]
