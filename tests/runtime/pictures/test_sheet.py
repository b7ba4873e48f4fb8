"""Contact sheets: where every image and every text lands, against plain counting of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fluxpath.errors import InputError
from fluxpath.runtime.pictures.sheet import BACKGROUND, INK, contact_sheet


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
        ([[plain(0.5, mode="F")]], {}, "mode F"),
    ],
)
def test_a_bad_sheet_is_refused(rows: Any, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        contact_sheet(rows, **options)
