"""Lines and labels, drawn as SVG or as pixels."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw

from fluxpath.runtime.pictures.text import BACKGROUND, INK, font, shown

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]

# Lines are drawn so many times larger than they are shown, and shrunk.
FINER = 3

_NO_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Line:
    """A polyline; one of a single point is a dot."""

    points: tuple[Point, ...]
    colour: Colour
    width: float
    dashes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Area:
    """A polygon that lets what is below it show through; opacity from 0 to 1."""

    points: tuple[Point, ...]
    colour: Colour
    opacity: float


@dataclass(frozen=True)
class Label:
    """Text in one line whose baseline begins, has its middle or ends at a point."""

    x: float
    y: float
    text: str
    size: int
    colour: Colour = INK
    anchor: str = "start"


def svg(
    lines: Sequence[Line],
    labels: Sequence[Label],
    size: tuple[int, int],
    title: str,
    about: str,
    areas: Sequence[Area] = (),
) -> str:
    """An SVG document of `size` (width, height): text stays text, `title` and `about` are read aloud."""
    width, height = size
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="sans-serif">',
            f"<title>{_xml(title)}</title>",
            f"<desc>{_xml(about)}</desc>",
            f'<rect width="100%" height="100%" fill="{_hex(BACKGROUND)}"/>',
            *map(_svg_area, areas),
            *map(_svg_line, lines),
            *map(_svg_label, labels),
            "</svg>\n",
        ]
    )


def pixels(
    lines: Sequence[Line],
    labels: Sequence[Label],
    size: tuple[int, int],
    scale: int,
    areas: Sequence[Area] = (),
) -> Image.Image:
    """The same as a PIL RGB picture of `scale` times the size, in the letters that Pillow's font has."""
    fine, (width, height) = scale * FINER, size
    canvas = Image.new("RGB", (width * fine, height * fine), BACKGROUND)
    for area in areas:
        mask = Image.new("L", canvas.size)
        opaque = round(255 * area.opacity)
        ImageDraw.Draw(mask).polygon([(x * fine, y * fine) for x, y in area.points], opaque)
        canvas.paste(area.colour, (0, 0), mask)
    for line in lines:
        _stroke(ImageDraw.Draw(canvas), line, fine)
    canvas = canvas.resize((width * scale, height * scale), Image.Resampling.BOX)
    draw = ImageDraw.Draw(canvas)
    for label in labels:
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[label.anchor]
        at = (label.x * scale, label.y * scale)
        draw.text(at, shown(label.text), label.colour, font(label.size * scale), anchor=anchor)
    return canvas


def _stroke(draw: ImageDraw.ImageDraw, line: Line, scale: int) -> None:
    points = [(x * scale, y * scale) for x, y in line.points]
    width = round(line.width * scale)
    if len(points) == 1:
        draw.circle(points[0], 1.5 * width, line.colour)
        return
    for part in _dashed(points, [d * scale for d in line.dashes]):
        draw.line(part, line.colour, width, "curve")


def _dashed(points: list[Point], pattern: list[int]) -> Iterator[list[Point]]:
    """The parts of a polyline that are drawn, where the pattern gives lengths of lines and gaps in turn."""
    if not pattern:
        yield points
        return
    part, k, left = [points[0]], 0, float(pattern[0])
    for (xa, ya), (xb, yb) in itertools.pairwise(points):
        whole_length = math.hypot(xb - xa, yb - ya)
        gone = 0.0
        while whole_length - gone > left:
            gone += left
            at = xa + (xb - xa) * gone / whole_length, ya + (yb - ya) * gone / whole_length
            if k % 2 == 0:
                yield [*part, at]
            k += 1
            part, left = [at], float(pattern[k % len(pattern)])
        left -= whole_length - gone
        part.append((xb, yb))
    if k % 2 == 0:
        yield part


def _svg_line(line: Line) -> str:
    colour = _hex(line.colour)
    if len(line.points) == 1:
        (x, y), radius = line.points[0], 1.5 * line.width
        return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:g}" fill="{colour}"/>'
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in line.points)
    dashes = f' stroke-dasharray="{" ".join(map(str, line.dashes))}"' if line.dashes else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{line.width:g}" '
        f'stroke-linejoin="round"{dashes}/>'
    )


def _svg_area(area: Area) -> str:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in area.points)
    return f'<polygon points="{points}" fill="{_hex(area.colour)}" fill-opacity="{area.opacity:g}"/>'


def _svg_label(label: Label) -> str:
    where = f'x="{label.x:.2f}" y="{label.y:.2f}" text-anchor="{label.anchor}"'
    return f'<text {where} font-size="{label.size}" fill="{_hex(label.colour)}">{_xml(label.text)}</text>'


def _xml(text: str) -> str:
    """The text as XML holds it; what no XML document may hold becomes U+FFFD."""
    return escape(_NO_XML.sub("\ufffd", text))


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
