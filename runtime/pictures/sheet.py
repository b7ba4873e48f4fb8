"""Arranges pictures in rows and columns, with their names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from fluxpath.checks import need
from fluxpath.runtime.pictures.photos import opaque
from fluxpath.runtime.pictures.text import BACKGROUND, INK


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    headers: Sequence[str] = (),
    labels: Sequence[str] = (),
    cell: int = 96,
    gap: int = 8,
) -> Image.Image:
    """A light RGB sheet of PIL images of any mode except F, `gap` pixels apart; rows can differ in length.

    Each image is fitted into cell x cell pixels and keeps its aspect ratio (nearest-neighbour to enlarge,
    Lanczos to shrink). Give one header per column or none, one label per row or none; columns and rows widen
    to fit them, and "\\n" starts a new line. Pillow's built-in font has the letters of western Europe.
    Raises InputError for no images, cell < 1, gap < 0, and a wrong number of headers or labels.
    """
    columns = max((len(row) for row in rows), default=0)
    drawable = columns and cell >= 1 and gap >= 0
    need(drawable, f"a sheet needs images, cell >= 1 and gap >= 0, got {columns=}, {cell=} and {gap=}")
    named = len(headers) in (0, columns) and len(labels) in (0, len(rows))
    got = f"{len(headers)} headers for {columns} columns and {len(labels)} labels for {len(rows)} rows"
    need(named, f"give one header per column and one label per row, or none, got {got}")

    font = ImageFont.load_default(size=max(12, round(cell / 7)))
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    # The top (above the anchor, so negative) and the right edge of each text.
    above = [ruler.textbbox((0, 0), text, font, anchor="ld")[1:3] for text in headers or [""] * columns]
    beside = [ruler.textbbox((0, 0), text, font, anchor="ld")[1:3] for text in labels or [""] * len(rows)]
    widths = [max(cell, math.ceil(w)) for _, w in above]
    heights = [max(cell, math.ceil(-h)) for h, _ in beside]
    left = gap + (math.ceil(max(w for _, w in beside)) + gap if labels else 0)
    top = gap + (math.ceil(max(-h for h, _ in above)) + gap if headers else 0)
    xs = [left + sum(widths[:k]) + k * gap for k in range(columns)]
    ys = [top + sum(heights[:k]) + k * gap for k in range(len(rows))]

    sheet = Image.new("RGB", (xs[-1] + widths[-1] + gap, ys[-1] + heights[-1] + gap), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for text, x, width in zip(headers, xs, widths, strict=False):
        draw.text((x + width / 2, top - gap), text, INK, font, anchor="md", align="center")
    for text, y, height in zip(labels, ys, heights, strict=False):
        draw.text((left - gap, y + height / 2), text, INK, font, anchor="rm", align="right")
    for row, y, height in zip(rows, ys, heights, strict=True):
        for image, x, width in zip(row, xs, widths, strict=False):
            fitted = _fitted(image, cell)
            sheet.paste(fitted, (x + (width - fitted.width) // 2, y + (height - fitted.height) // 2))
    return sheet


def _fitted(image: Image.Image, cell: int) -> Image.Image:
    """A PIL image made opaque, its longer side resized to `cell` pixels at the same aspect ratio."""
    scale = cell / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return opaque(image).resize((width, height), way)
