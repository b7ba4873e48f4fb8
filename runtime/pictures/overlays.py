"""Draws attributions as heat maps, on their own or over their image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fluxpath.arrays import as_array
from fluxpath.checks import need
from fluxpath.runtime.pictures.colours import BY_POLARITY, coloured
from fluxpath.runtime.pictures.drawing import DEFAULT, SMALL, Drawing, as_drawing
from fluxpath.runtime.pictures.maps import evidence, weights
from fluxpath.runtime.pictures.outlines import outlined

# A picture without a size has at least so many pixels on its longer side.
SMALLEST = 224
# So many pixels are computed at a time.
BAND = 1 << 16
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def picture(image: NDArray[Any], size: int | None = None) -> Image.Image:
    """An image as a PIL RGB picture; `image` is as in `overlay`, `size` as in `Drawing`."""
    image = as_array("the image", image)
    planes = [_resized(plane, size) for plane in _planes(image, image.shape[-2:])]
    return Image.fromarray(_banded(planes[0].shape, lambda rows: _pixels(planes, rows)))


def heatmap(values: NDArray[Any], drawing: Drawing = DEFAULT) -> Image.Image:
    """Attributions [c,h,w] or [h,w], real numbers, as a PIL RGB picture of the heat alone, h x w or `size`.

    Images of up to 64 pixels are enlarged so that their pixels stay visible, larger ones bicubically.
    Raises InputError for a wrong rank or dtype, no pixels, and NaN or infinity.
    """
    drawing = as_drawing(drawing)
    plane = evidence(values, drawing)
    weight, colormap = _resized(weights(plane, drawing), drawing.size), colormap_of(drawing)
    return _finished(_banded(weight.shape, lambda rows: coloured(weight[rows], colormap)), plane, drawing)


def overlay(image: NDArray[Any], values: NDArray[Any], drawing: Drawing = DEFAULT) -> Image.Image:
    """A PIL RGB picture of an image with a heat map of its attributions over it.

    `image` is [c,h,w] with c 1 or 3, or [h,w]: uint8, or float in [0,1] (up to 0.001 beyond is clipped);
    `values` has the same h, w. Where the weight of the attribution has the magnitude n, o = min(1, 2 n) says
    how opaque the heat is, fully so from half of its strength on. The picture is (1 - alpha o) g + alpha o
    heat, so unimportant parts show the image: g is the image, in grey (ITU-R 601 luma) or in colour, times
    `brightness`. overlay="mask" gives o times the image, and "none" `heatmap`.
    Raises InputError as `heatmap` does, and for an image of another shape, dtype or range.
    """
    drawing = as_drawing(drawing)
    plane = evidence(values, drawing)
    planes = _planes(image, plane.shape)
    if drawing.overlay == "none":
        return heatmap(values, drawing)
    if drawing.overlay == "grayscale" and len(planes) == 3:
        planes = np.tensordot(LUMA, planes, 1)[None]
    grounds = [_resized(plane, drawing.size) for plane in planes]
    weight = _resized(weights(plane, drawing), drawing.size)
    shown = _banded(weight.shape, lambda rows: _mixed(_pixels(grounds, rows), weight[rows], drawing))
    return _finished(shown, plane, drawing)


def _mixed(
    ground: NDArray[np.float32], weight: NDArray[np.float32], drawing: Drawing
) -> NDArray[np.floating]:
    """Colours [h,w,3 or 1] of pixels [h,w,3 or 1] in 0..255 under weights [h,w], as `overlay` says."""
    share = np.minimum(1, 2 * np.abs(weight))[..., None]
    if drawing.overlay == "mask":
        return np.asarray(ground * share)
    ground = ground * drawing.brightness
    return np.asarray(ground + drawing.alpha * share * (coloured(weight, colormap_of(drawing)) - ground))


def colormap_of(drawing: Drawing) -> str:
    """The name of the colour map that a drawing takes."""
    return drawing.colormap or BY_POLARITY[drawing.polarity]


def _planes(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.float64]:
    """A checked image as planes [1 or 3, *size] in [0,1]."""
    array = as_array("the image", image)
    pixels = array[None] if array.ndim == 2 else array
    fits = pixels.shape in [(c, *size) for c in (1, 3)] and pixels.size
    need(fits, f"the image must be 1 or 3 channels of {size} as its values, got {array.shape}")
    is_byte = pixels.dtype == np.uint8
    need(is_byte or pixels.dtype.kind == "f", f"the image must be uint8 or float, got {pixels.dtype}")
    planes = pixels / 255 if is_byte else pixels
    in_range = (np.abs(planes - 0.5) <= 0.501).all()
    need(in_range, f"a float image must be in [0,1], got values from {planes.min()} to {planes.max()}")
    return np.clip(planes.astype(np.float64), 0, 1)


def _resized(plane: NDArray[np.float64], size: int | None) -> NDArray[np.float32]:
    """A plane [h,w] in [-1,1] at `size` (see `Drawing`); clipped to its range, as bicubics overshoot."""
    h, w = plane.shape
    longer = max(h, w)
    if size is None:
        size = longer * -(-SMALLEST // longer) if longer <= SMALL else max(longer, SMALLEST)
    shape = max(1, -(-w * size // longer)), max(1, -(-h * size // longer))
    way = Image.Resampling.NEAREST if longer <= SMALL and size >= longer else Image.Resampling.BICUBIC
    shown = Image.fromarray(plane.astype(np.float32)).resize(shape, way)
    return np.asarray(np.clip(np.asarray(shown), np.float32(plane.min()), np.float32(plane.max())))


def _finished(shown: NDArray[np.uint8], plane: NDArray[np.float64], drawing: Drawing) -> Image.Image:
    if drawing.outlines:
        shown = outlined(shown, np.abs(_resized(plane, drawing.size)), drawing.outlines)
    return Image.fromarray(shown)


def _pixels(planes: list[NDArray[np.float32]], rows: slice) -> NDArray[np.float32]:
    """Rows of planes [h,w] in [0,1] as pixels [rows,w,planes] in 0..255."""
    return np.asarray(np.stack([plane[rows] for plane in planes], axis=-1) * np.float32(255))


def _banded(size: tuple[int, ...], colours: Callable[[slice], NDArray[np.floating]]) -> NDArray[np.uint8]:
    """A picture [h,w,3] of the colours [rows,w,3], or [rows,w,1] if grey, that `colours` gives of some rows.

    Only a band of rows at a time is held as floats, which take many times the memory of the picture.
    """
    height, width = size
    shown = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        shown[rows] = np.rint(np.clip(colours(rows), 0, 255))
    return shown
