"""Text in pictures: what the font can show of it, wrapped and shortened to a width."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

INK, FAINT = (40, 42, 48), (110, 112, 118)
BACKGROUND = (250, 250, 248)
ELLIPSIS = "…"

BOX = "\ufffd"  # Unicode's sign for a letter that cannot be shown, which the font lacks too

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_RULER = ImageDraw.Draw(Image.new("RGB", (1, 1)))
_SPACING = 4
# What is before a word, and the word up to its hyphens.
_WORDS = re.compile(r"(\s*)([^\s-]*-+|[^\s-]+)")
# Letters that Unicode does not take apart, such as the Polish l.
_STROKED = re.compile("LATIN (SMALL|CAPITAL) LETTER ([A-Z]) WITH ")


@functools.cache
def font(size: int) -> Font:
    """Pillow's built-in font, `size` pixels high."""
    return ImageFont.load_default(size=size)


def shown(text: str) -> str:
    """The text in letters that the built-in font has: "é" becomes "e"; what has no such letter becomes a box.

    Lines end where they did; other control characters become spaces.
    """
    text = "\n".join(text.splitlines())
    return "".join(_letter(c) for c in unicodedata.normalize("NFC", text))


def wrapped(text: str, size: int, width: float, lines: int) -> str:
    """`shown` text in lines of at most `width` pixels, at most `lines` of them; what is cut ends in "…".

    Words that are longer than a line are broken. A line has at least one letter, however narrow it must be.
    """
    most = lines * max(1, int(width))  # no letter that is seen is narrower than a pixel
    done = [line for part in shown(text[:most]).split("\n") for line in _lines(part, size, width)]
    if len(done) > lines or len(text) > most:
        last = done[:lines][-1]
        while last and length(last + ELLIPSIS, size) > width:
            last = last[:-1]
        done[lines - 1 :] = [last.rstrip() + ELLIPSIS]
    return "\n".join(done)


def _lines(paragraph: str, size: int, width: float) -> list[str]:
    """The words of a paragraph in lines, which also end after hyphens; at least one, which may be empty."""
    done = [""]
    for before, word in _WORDS.findall(paragraph):
        joined = f"{done[-1]}{' ' if before and done[-1] else ''}{word}"
        if length(joined, size) <= width:
            done[-1] = joined
            continue
        if not done[-1]:
            done.pop()
        while length(word, size) > width and len(word) > 1:
            fit = 1
            while length(word[: fit + 1], size) <= width:
                fit += 1
            done.append(word[:fit])
            word = word[fit:]
        done.append(word)
    return done


def length(line: str, size: int) -> float:
    """The width in pixels of one line of `shown` text."""
    return float(_RULER.textlength(line, font(size)))


def line_height(size: int) -> int:
    """The distance in pixels from one line to the next, as Pillow sets them."""
    return math.ceil(_RULER.textbbox((0, 0), "A", font(size))[3]) + _SPACING


@functools.cache
def _letter(letter: str) -> str:
    """The letter if the font has it, or the plain letters in it, or a box; "" if it is nothing to see."""
    kind = unicodedata.category(letter)
    if letter == "\n" or _has(letter):
        return letter
    if kind in ("Zs", "Cc"):
        return " "
    if kind == "Pd":
        return "-"
    base = _STROKED.match(unicodedata.name(letter, ""))
    plain = (base[2] if base[1] == "CAPITAL" else base[2].lower()) if base else letter
    parts = [c for c in unicodedata.normalize("NFKD", plain) if unicodedata.category(c)[0] not in "MC"]
    undefined = kind in ("Cn", "Co", "Cs")
    return BOX if undefined or not all(map(_has, parts)) else "".join(parts)


def _has(letter: str) -> bool:
    """Whether the font has a letter: it draws a box for all that it lacks."""
    drawn, lacking = (font(20).getmask(c) for c in (letter, BOX))
    return letter == " " or (drawn.size, bytes(drawn)) != (lacking.size, bytes(lacking))
