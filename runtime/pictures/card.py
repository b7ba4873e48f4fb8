"""A card: a photo, its heat map and both together, with a key and a caption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fluxpath.runtime.pictures.colours import coloured
from fluxpath.runtime.pictures.drawing import DEFAULT, Drawing
from fluxpath.runtime.pictures.overlays import colormap_of, heatmap, overlay, picture
from fluxpath.runtime.pictures.text import BACKGROUND, FAINT, INK, font, line_height, wrapped

# What is written at the ends of the key.
ENDS = {"positive": ("", "for"), "negative": ("against", ""), "both": ("against", "for")}
EITHER = ("", "for or against")
MOST_LINES = 4


def card(image: NDArray[Any], values: NDArray[Any], caption: str, drawing: Drawing = DEFAULT) -> Image.Image:
    """A light PIL RGB card: the photo, the heat map and the overlay side by side, the caption below.

    `image`, `values` and `drawing` are as in `overlay`, and `size` is each picture's; an overlay "none" is
    drawn as "grayscale" would be. The caption, as class name, probability and method, is wrapped to the
    card and ends in "…" after four lines; "\\n" starts a new one. The key under the heat map names its ends.
    Raises InputError as `overlay` does.
    """
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


def _bar(drawing: Drawing, width: int, height: int) -> Image.Image:
    """The colour map from the strongest evidence against (where it is shown) to the strongest for."""
    ends = {"positive": (0, 1), "negative": (-1, 0), "both": (-1, 1)}[drawing.polarity]
    colours = coloured(np.linspace(*ends, width), colormap_of(drawing))
    return Image.fromarray(np.rint(np.tile(colours, (height, 1, 1))).astype(np.uint8))
