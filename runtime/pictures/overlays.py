"""Draws attributions as heat maps, on their own or over their image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fluxpath.checks import need
from fluxpath.runtime.pictures.colours import BY_POLARITY, coloured
from fluxpath.runtime.pictures.drawing import DEFAULT, SMALL, Drawing
from fluxpath.runtime.pictures.maps import evidence, weights
from fluxpath.runtime.pictures.outlines import outlined

# A picture without a size has at least so many pixels on its longer side.
SMALLEST = 224
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def picture(image: NDArray[Any], size: int | None = None) -> Image.Image:
    """An image as a PIL RGB picture; `image` is as in `overlay`, `size` as in `Drawing`."""
    planes = _planes(image, np.shape(image)[-2:])
    return _rgb(np.stack([_resized(plane, size) for plane in planes], axis=-1) * 255)


def heatmap(values: NDArray[Any], drawing: Drawing = DEFAULT) -> Image.Image:
    """Attributions [c,h,w] or [h,w], real numbers, as a PIL RGB picture of the heat alone, h x w or `size`.

    Images of up to 64 pixels are enlarged so that their pixels stay visible, larger ones bicubically.
    Raises InputError for a wrong rank or dtype, no pixels, and NaN or infinity.
    """
    plane = evidence(values, drawing)
    weight = _resized(weights(plane, drawing), drawing.size)
    return _finished(coloured(weight, colormap_of(drawing)), plane, drawing)


def overlay(image: NDArray[Any], values: NDArray[Any], drawing: Drawing = DEFAULT) -> Image.Image:
    """A PIL RGB picture of an image with a heat map of its attributions over it.

    `image` is [c,h,w] with c 1 or 3, or [h,w]: uint8, or float in [0,1] (up to 0.001 beyond is clipped);
    `values` has the same h, w. Where the weight of the attribution has the magnitude n, o = min(1, 2 n) says
    how opaque the heat is, fully so from half of its strength on. The picture is (1 - alpha o) g + alpha o
    heat, so unimportant parts show the image: g is the image, in grey (ITU-R 601 luma) or in colour, times
    `brightness`. overlay="mask" gives o times the image, and "none" `heatmap`.
    Raises InputError as `heatmap` does, and for an image of another shape, dtype or range.
    """
    plane = evidence(values, drawing)
    planes = _planes(image, plane.shape)
    if drawing.overlay == "none":
        return heatmap(values, drawing)
    if drawing.overlay == "grayscale" and len(planes) == 3:
        planes = np.tensordot(LUMA, planes, 1)[None]
    ground = np.stack([_resized(plane, drawing.size) for plane in planes], axis=-1) * 255
    weight = _resized(weights(plane, drawing), drawing.size)
    share = np.minimum(1, 2 * np.abs(weight))[..., None]
    if drawing.overlay == "mask":
        shown = ground * share
    else:
        ground = ground * drawing.brightness
        shown = ground + drawing.alpha * share * (coloured(weight, colormap_of(drawing)) - ground)
    return _finished(shown, plane, drawing)


def colormap_of(drawing: Drawing) -> str:
    """The name of the colour map that a drawing takes."""
    return drawing.colormap or BY_POLARITY[drawing.polarity]


def _planes(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.float64]:
    """A checked image as planes [1 or 3, *size] in [0,1]."""
    pixels = np.asarray(image)[None] if np.ndim(image) == 2 else np.asarray(image)
    fits = pixels.shape in [(c, *size) for c in (1, 3)] and pixels.size
    need(fits, f"the image must be 1 or 3 channels of {size} as its values, got {np.shape(image)}")
    is_byte = pixels.dtype == np.uint8
    need(is_byte or pixels.dtype.kind == "f", f"the image must be uint8 or float, got {pixels.dtype}")
    planes = pixels / 255 if is_byte else pixels
    in_range = (np.abs(planes - 0.5) <= 0.501).all()
    need(in_range, f"a float image must be in [0,1], got values from {planes.min()} to {planes.max()}")
    return np.clip(planes.astype(np.float64), 0, 1)


def _resized(plane: NDArray[np.float64], size: int | None) -> NDArray[np.float64]:
    """A plane [h,w] in [-1,1] at `size` (see `Drawing`); clipped to its range, as bicubics overshoot."""
    h, w = plane.shape
    longer = max(h, w)
    if size is None:
        size = longer * -(-SMALLEST // longer) if longer <= SMALL else max(longer, SMALLEST)
    shape = max(1, -(-w * size // longer)), max(1, -(-h * size // longer))
    way = Image.Resampling.NEAREST if longer <= SMALL and size >= longer else Image.Resampling.BICUBIC
    shown = Image.fromarray(plane.astype(np.float32)).resize(shape, way)
    return np.clip(np.asarray(shown, np.float64), plane.min(), plane.max())


def _finished(colours: NDArray[np.float64], plane: NDArray[np.float64], drawing: Drawing) -> Image.Image:
    if drawing.outlines:
        colours = outlined(colours, np.abs(_resized(plane, drawing.size)), drawing.outlines)
    return _rgb(colours)


def _rgb(colours: NDArray[np.float64]) -> Image.Image:
    """A picture of colours [h,w,3], or [h,w,1] if they are grey."""
    colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
    return Image.fromarray(np.rint(np.clip(colours, 0, 255)).astype(np.uint8))
