"""Text that the font lacks, and text that is longer than its room."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fluxpath.runtime.pictures.text import BOX, ELLIPSIS, font, length, line_height, shown, wrapped

TEXTS = [
    "",
    "a",
    "two words",
    "Welsh springer spaniel 61% · mfaba-sharp",
    "x" * 500,
    "wide " * 90,
    "a\n\nb",
    "\n" * 9,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Egyptian cat 38% · …", "Egyptian cat 38% · …"),
        ("éclair", "eclair"),
        ("Ço\u0301\u0142\u00d8", "ColO"),
        ("a\u2013b\u2014c", "a-b-c"),
        ("犬", BOX),
        ("кот", BOX * 3),
        ("\ud800", BOX),
        ("\u200bcat\u202e", "cat"),
        ("a\tb\x07\x00", "a b  "),
        ("a\r\nb\u2028c", "a\nb\nc"),
    ],
)
def test_what_the_font_lacks_becomes_plain_letters_or_a_box(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_a_box_is_seen() -> None:
    assert bytes(font(20).getmask(BOX)).strip(b"\0")
    assert shown("abc" + BOX) == "abc" + BOX


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_drawn(text: str) -> None:
    for line in shown(text).split("\n"):
        assert length(line, 12) >= 0
        assert all(unicodedata.category(c) != "Cs" for c in line)
    ImageDraw.Draw(Image.new("RGB", (40, 40))).multiline_text((0, 0), wrapped(text, 12, 30, 2), font=font(12))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [1, 40, 300])
@pytest.mark.parametrize("lines", [1, 3])
def test_wrapped_text_fits_and_keeps_its_words(text: str, width: int, lines: int) -> None:
    result = wrapped(text, 14, width, lines)
    got = result.split("\n")
    assert len(got) <= lines
    for line in got:
        assert length(line, 14) <= width or len(line) <= 1
    if ELLIPSIS not in result:
        assert result.split() == text.split() or "".join(result.split()) == "".join(text.split())
    else:
        assert result.endswith(ELLIPSIS)
        assert "".join(text.split()).startswith("".join(result[:-1].split()))


def test_text_that_has_room_is_left_alone() -> None:
    assert wrapped("one two\nthree", 14, 300, 2) == "one two\nthree"
    assert wrapped("one two three", 14, length("one two", 14), 2) == "one two\nthree"
    assert (
        wrapped("by integrated-gradients", 14, length("by integrated-", 14), 2) == "by integrated-\ngradients"
    )
    assert wrapped("a - b -- c", 14, 300, 1) == "a - b -- c"


def test_a_line_is_as_high_as_pillow_sets_it() -> None:
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    for size in (10, 14, 33):
        one, four = (ruler.multiline_textbbox((0, 0), "\n".join("A" * n), font(size))[3] for n in (1, 4))
        assert abs(four - one - 3 * line_height(size)) <= 1
