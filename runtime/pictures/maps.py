"""Draws attributions as heat maps, on their own or over their image."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fluxpath.checks import need

Channels: TypeAlias = Literal["sum", "abs", "max"]
Size: TypeAlias = int | tuple[int, int] | None

# Evenly spaced anchor colours (sRGB). "ember" was laid out in CIELAB: its lightness climbs evenly from 5
# to 96 as the hue turns from blue-black over violet to orange and pale yellow, so it keeps its order in grey.
COLORMAPS = {
    "ember": "061028 102668 46399c 9646ac e65274 fa8e40 ffc45c fff3a0",
    "grey": "000000 ffffff",
}


def normalize(
    values: NDArray[Any], low: float = 80.0, high: float = 99.0, *, channels: Channels = "sum"
) -> NDArray[np.float32]:
    """Attributions [c,h,w] or [h,w], real numbers, as an importance map float32 [h,w] in [0,1].

    `channels` says how channels are joined first. "sum" (default) gives the map of AGI's code (which takes
    the mean) and keeps the methods' meaning: attributions sum to a change of the score, so evidence for and
    against cancels in a pixel. "abs" sums magnitudes, for evidence of either sign; "max" takes the largest.
    Then, as in appendix A.1 of NeFLAG (Li et al., IJCAI 2023; after AGI), values below the `low` percentile q
    become q, values above the `high` percentile u become u, and [q,u] maps linearly to [0,1]. There is no cut
    at zero: by default only the strongest fifth rises above 0. If over `high` percent of a map equal q, u is
    the maximum, so that a single important pixel shows. A constant map gives zeros.
    Raises InputError for a wrong rank or dtype, no pixels, NaN or infinity, wrong percentiles or `channels`.
    """
    array = np.asarray(values)
    fits = array.ndim in (2, 3) and array.size and array.dtype.kind in "fiu"
    need(fits, f"attributions must be real numbers [c,h,w] or [h,w], got {array.dtype} {list(array.shape)}")
    need(np.isfinite(array).all(), "attributions must be finite, got NaN or infinity")
    need(0 <= low < high <= 100, f"percentiles must satisfy 0 <= low < high <= 100, got {low} and {high}")
    need(channels in ("sum", "abs", "max"), f'channels must be "sum", "abs" or "max", got {channels!r}')
    stack = array.astype(np.float64).reshape(-1, *array.shape[-2:])
    stack /= np.abs(stack).max() or 1.0  # so that neither the sum nor u - q can overflow
    stack = np.abs(stack) if channels == "abs" else stack
    flat = stack.max(axis=0) if channels == "max" else stack.sum(axis=0)
    q, u = np.percentile(flat, (low, high))
    u = u if u > q else flat.max()
    scaled = (np.clip(flat, q, u) - q) / (u - q) if u > q else np.zeros_like(flat)
    return np.asarray(scaled, np.float32)


def heatmap(
    values: NDArray[Any],
    colormap: str = "ember",
    size: Size = None,
    *,
    smooth: bool = False,
    low: float = 80.0,
    high: float = 99.0,
    channels: Channels = "sum",
) -> Image.Image:
    """Attributions [c,h,w] or [h,w] as a PIL RGB picture: `normalize`d (low, high, channels), then coloured.

    `colormap` is a name in COLORMAPS; `size` is (height, width), or the longer side, or None to stay h x w.
    `smooth` resizes bicubically; otherwise nearest-neighbour keeps a small image's pixels visible.
    Raises InputError as `normalize` does, and for an unknown colour map or a size below 1.
    """
    weight = normalize(values, low, high, channels=channels)
    return Image.fromarray(np.rint(_coloured(_resized(weight, size, smooth), colormap)).astype(np.uint8))


def overlay(
    image: NDArray[Any],
    values: NDArray[Any],
    alpha: float = 0.6,
    *,
    grey: bool = True,
    brightness: float = 0.75,
    colormap: str = "ember",
    size: Size = None,
    smooth: bool = False,
    low: float = 80.0,
    high: float = 99.0,
    channels: Channels = "sum",
) -> Image.Image:
    """A PIL RGB picture of an image with a heat map of its attributions over it.

    `image` is [c,h,w] with c 1 or 3, or [h,w]: uint8, or float in [0,1] (up to 0.001 beyond is clipped);
    `values` has the same h, w. The ground g is the image as ITU-R 601 luma (grey=False: in colour) times
    `brightness`, which keeps heat visible on white. Where the normalised attribution is n, the overlay is
    (1 - alpha n) g + alpha n heat(n), so unimportant parts show the image. The rest is as in `heatmap`.
    Raises InputError as `heatmap` does, for an image of another shape, dtype or range, and for a bad alpha.
    """
    small = normalize(values, low, high, channels=channels)
    pixels = np.asarray(image)[None] if np.ndim(image) == 2 else np.asarray(image)
    fits = pixels.shape in [(c, *small.shape) for c in (1, 3)]
    need(fits, f"the image must be 1 or 3 channels of {small.shape} as its values, got {np.shape(image)}")
    is_byte = pixels.dtype == np.uint8
    need(is_byte or pixels.dtype.kind == "f", f"the image must be uint8 or float, got {pixels.dtype}")
    planes = pixels / 255 if is_byte else pixels
    in_range = (np.abs(planes - 0.5) <= 0.501).all()
    need(in_range, f"a float image must be in [0,1], got values from {planes.min()} to {planes.max()}")
    need(0 <= alpha <= 1 and 0 <= brightness <= 1, f"not between 0 and 1: {alpha=} or {brightness=}")
    planes = np.tensordot((0.299, 0.587, 0.114), planes, 1)[None] if grey and len(planes) == 3 else planes
    base = np.stack([_resized(plane, size, smooth) for plane in planes], axis=-1) * 255 * brightness
    weight = _resized(small, size, smooth)
    blend = base + alpha * weight[..., None] * (_coloured(weight, colormap) - base)
    return Image.fromarray(np.rint(blend).astype(np.uint8))


def _resized(plane: NDArray[Any], size: Size, smooth: bool) -> NDArray[np.float64]:
    """A plane [h,w] in [0,1] as float64 at `size` (see `heatmap`); clipped, as bicubics overshoot."""
    h, w = plane.shape
    if not isinstance(size, tuple):
        size = (h, w) if size is None else (math.ceil(h * size / max(h, w)), math.ceil(w * size / max(h, w)))
    need(min(size) >= 1, f"the size of a picture must be 1 pixel or more, got {size}")
    way = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    picture = Image.fromarray(plane.astype(np.float32)).resize(size[::-1], way)
    return np.clip(np.asarray(picture, np.float64), 0, 1)


def _coloured(weight: NDArray[np.float64], colormap: str) -> NDArray[np.float64]:
    """Colours float64 [h,w,3] in 0..255 of weights [h,w] in [0,1]; InputError for an unknown colour map."""
    need(colormap in COLORMAPS, f"there is no colour map {colormap!r}, only {', '.join(COLORMAPS)}")
    anchors = np.frombuffer(bytes.fromhex(COLORMAPS[colormap]), np.uint8).reshape(-1, 3)
    return np.stack([np.interp(weight, np.linspace(0, 1, len(anchors)), band) for band in anchors.T], axis=-1)
