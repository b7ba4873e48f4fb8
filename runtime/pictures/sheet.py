"""Arranges pictures with their names: cards, sheets, strips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from fluxpath.checks import need, whole
from fluxpath.runtime.pictures.colours import coloured
from fluxpath.runtime.pictures.drawing import DEFAULT, Drawing, as_drawing
from fluxpath.runtime.pictures.overlays import colormap_of, heatmap, overlay, picture
from fluxpath.runtime.pictures.photos import opaque
from fluxpath.runtime.pictures.text import BACKGROUND, FAINT, INK, font, line_height, shown, wrapped

# What is written at the ends of a card's key.
ENDS = {"positive": ("", "for"), "negative": ("against", ""), "both": ("against", "for")}
EITHER = ("", "for or against")
# The most lines of a caption.
MOST_LINES = 4


def card(
    image: npt.NDArray[Any], values: npt.NDArray[Any], caption: str, drawing: Drawing = DEFAULT
) -> Image.Image:
    """A light PIL RGB card: the photo, the heat map and the overlay side by side, the caption below.

    `image`, `values` and `drawing` are as in `overlay`, and `size` is each picture's; an overlay "none" is
    drawn as "grayscale" would be. The caption, as class name, probability and method, is wrapped to the
    card and ends in "…" after four lines; "\\n" starts a new one. The key under the heat map names its ends.
    Raises InputError as `overlay` does.
    """
    drawing = as_drawing(drawing)
    under = replace(drawing, overlay="grayscale") if drawing.overlay == "none" else drawing
    panels = [
        picture(image, drawing.size),
        heatmap(values, replace(drawing, outlines=0)),
        overlay(image, values, under),
    ]
    width, height = panels[0].size
    text = max(12, round(max(width, height) / 18))
    gap, bar, small = text // 2, text // 2, max(10, text * 3 // 4)
    lines = wrapped(caption, text, 3 * width + 2 * gap, MOST_LINES)
    key = height + 2 * gap
    below = key + bar + line_height(small) + gap
    bottom = below + (lines.count("\n") + 1) * line_height(text) + gap
    sheet = Image.new("RGB", (3 * width + 4 * gap, bottom), BACKGROUND)
    for k, panel in enumerate(panels):
        sheet.paste(panel, (gap + k * (width + gap), gap))
    draw = ImageDraw.Draw(sheet)
    left, right = width + 2 * gap, 2 * (width + gap)
    sheet.paste(_bar(drawing, width, bar), (left, key))
    against, favour = EITHER if drawing.channels == "abs" else ENDS[drawing.polarity]
    draw.text((left, key + bar + 2), against, FAINT, font(small))
    draw.text((right, key + bar + 2), favour, FAINT, font(small), anchor="ra")
    draw.multiline_text((gap, below), lines, INK, font(text))
    return sheet


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    headers: Sequence[str] = (),
    labels: Sequence[str] = (),
    cell: int = 96,
    gap: int = 8,
    captions: Sequence[Sequence[str]] = (),
) -> Image.Image:
    """A light RGB sheet of PIL images of any mode except F, `gap` pixels apart; rows can differ in length.

    Each image is fitted into cell x cell pixels and keeps its aspect ratio (nearest-neighbour to enlarge,
    Lanczos to shrink). Give one header per column or none, one label per row or none; columns and rows widen
    to fit them, and "\\n" starts a new line. Give one caption per image or none: it stands below the image,
    is wrapped to its column and ends in "…" after four lines. Letters that Pillow's built-in font lacks lose
    their accents or become boxes.
    Raises InputError for no images, cell < 1, gap < 0, and a wrong number of headers, labels or captions.
    """
    columns = max((len(row) for row in rows), default=0)
    _check(rows, columns, headers, labels, captions, cell, gap)
    size, small = max(12, round(cell / 7)), max(10, round(cell / 9))
    headers, labels = [shown(text) for text in headers], [shown(text) for text in labels]
    above = [_extent(text, size) for text in headers or [""] * columns]
    beside = [_extent(text, size) for text in labels or [""] * len(rows)]
    widths = [max(cell, w) for w, _ in above]
    heights = [max(cell, h) for _, h in beside]
    below = [
        [wrapped(text, small, w, MOST_LINES) for text, w in zip(row, widths, strict=False)]
        for row in captions or [[] for _ in rows]
    ]
    deep = [max((text.count("\n") + 1 for text in row), default=0) * line_height(small) for row in below]
    left = gap + (max(w for w, _ in beside) + gap if labels else 0)
    top = gap + (max(h for _, h in above) + gap if headers else 0)
    xs = [left + sum(widths[:k]) + k * gap for k in range(columns)]
    ys = [top + sum(heights[:k]) + sum(deep[:k]) + k * gap for k in range(len(rows))]

    sheet = Image.new("RGB", (xs[-1] + widths[-1] + gap, ys[-1] + heights[-1] + deep[-1] + gap), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for text, x, width in zip(headers, xs, widths, strict=False):
        draw.text((x + width / 2, top - gap), text, INK, font(size), anchor="md", align="center")
    for text, y, height in zip(labels, ys, heights, strict=False):
        draw.text((left - gap, y + height / 2), text, INK, font(size), anchor="rm", align="right")
    for row, y, height in zip(rows, ys, heights, strict=True):
        for image, x, width in zip(row, xs, widths, strict=False):
            fitted = _fitted(image, cell)
            sheet.paste(fitted, (x + (width - fitted.width) // 2, y + (height - fitted.height) // 2))
    for texts, y, height in zip(below, ys, heights, strict=True):
        for text, x, width in zip(texts, xs, widths, strict=False):
            draw.text((x + width / 2, y + height + 2), text, INK, font(small), anchor="ma", align="center")
    return sheet


def strip(
    points: npt.NDArray[np.generic],
    scores: npt.ArrayLike,
    labels: Sequence[str] = (),
    *,
    most: int = 8,
    cell: int = 160,
    title: str = "",
) -> Image.Image:
    """Points of a walk side by side, each with its number and score below, as a light PIL RGB picture.

    points: [k, c, h, w] with c 1 or 3, or [k, h, w]: uint8, or float in [0, 1]. scores: real numbers [k].
    labels: the predicted class at each point, or none. Of more than `most` points, the first, the last and
    evenly spaced ones between them are shown, each cell x cell pixels. title: what stands above.
    Raises InputError for no points, other shapes, dtypes or ranges, and a wrong number of scores or labels.
    """
    whole("most", most, 1)
    values, count = np.asarray(scores), len(points)
    fits = count and values.shape == (count,) and values.dtype.kind in "fiu" and len(labels) in (0, count)
    got = f"{count} points, scores {values.dtype} {list(values.shape)} and {len(labels)} labels"
    need(fits, f"give at least one point, one score for each, and one label for each or none, got {got}")
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()
    texts = [f"{k}: {float(values[k]):.3g}" + (f"\n{labels[k]}" if labels else "") for k in chosen]
    row = [picture(points[k], cell) for k in chosen]
    sheet = contact_sheet([row], cell=cell, captions=[texts])
    if not title:
        return sheet
    size = max(12, round(cell / 8))
    above = wrapped(title, size, sheet.width - 16, MOST_LINES)
    top = (above.count("\n") + 1) * line_height(size) + 8
    titled = Image.new("RGB", (sheet.width, sheet.height + top), BACKGROUND)
    titled.paste(sheet, (0, top))
    ImageDraw.Draw(titled).text((8, 8), above, INK, font(size))
    return titled


def _check(
    rows: Sequence[Sequence[Image.Image]],
    columns: int,
    headers: Sequence[str],
    labels: Sequence[str],
    captions: Sequence[Sequence[str]],
    cell: int,
    gap: int,
) -> None:
    drawable = columns and cell >= 1 and gap >= 0
    need(drawable, f"a sheet needs images, cell >= 1 and gap >= 0, got {columns=}, {cell=} and {gap=}")
    strangers = [image for row in rows for image in row if not isinstance(image, Image.Image)]
    need(not strangers, f"a sheet is made of PIL images, got {[type(each).__name__ for each in strangers]}")
    named = len(headers) in (0, columns) and len(labels) in (0, len(rows))
    got = f"{len(headers)} headers for {columns} columns and {len(labels)} labels for {len(rows)} rows"
    need(named, f"give one header per column and one label per row, or none, got {got}")
    texts, images = [len(row) for row in captions], [len(row) for row in rows]
    given = f"rows of {texts} captions for rows of {images} images"
    need(not captions or texts == images, f"give one caption per image, or none, got {given}")


def _extent(text: str, size: int) -> tuple[int, int]:
    """The width and the height above the last line's descent of a text, rounded up."""
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, upper, right, _ = ruler.textbbox((0, 0), text, font(size), anchor="ld")
    return math.ceil(right), math.ceil(-upper)


def _fitted(image: Image.Image, cell: int) -> Image.Image:
    """A PIL image made opaque, its longer side resized to `cell` pixels at the same aspect ratio."""
    scale = cell / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return opaque(image).resize((width, height), way)


def _bar(drawing: Drawing, width: int, height: int) -> Image.Image:
    """The colour map from the strongest evidence against (where it is shown) to the strongest for."""
    ends = {"positive": (0, 1), "negative": (-1, 0), "both": (-1, 1)}[drawing.polarity]
    colours = coloured(np.linspace(*ends, width), colormap_of(drawing))
    return Image.fromarray(np.rint(np.tile(colours, (height, 1, 1))).astype(np.uint8))
