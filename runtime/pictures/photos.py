"""Loads photos from files as arrays."""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fluxpath.checks import need
from fluxpath.errors import InputError


def load_image(
    path: str | os.PathLike[str],
    shape: tuple[int | None, int | None, int | None],
    range: tuple[float, float] = (0.0, 1.0),
) -> NDArray[np.float32]:
    """The photo in a file as float32 [c,h,w]; black becomes range[0] and white range[1].

    `shape` is (c, h, w). c: 1 for grey, 3 for RGB, None to keep the file's. h, w: the photo, turned upright
    by its EXIF orientation, is resized bilinearly to cover h x w and cropped to the centre; if one is None
    it is resized to the other and keeps its aspect ratio, if both are None it keeps its size. Transparent
    parts become white, 16-bit grey is rounded to 8 bits, and an animation gives its first frame.
    Raises InputError for a bad argument, and for a file (named) that is missing, cut, too large or no image.
    """
    (channels, height, width), (black, white) = shape, range
    fits = channels in (None, 1, 3) and all(side is None or side >= 1 for side in (height, width))
    need(fits, f"a photo has 1 or 3 channels and sides of 1 pixel or more, got shape {tuple(shape)}")
    need(math.isfinite(white - black) and black < white, f"range must be finite and rising, got {range}")
    try:
        # Opened here, because given a name Pillow maps plain TIFFs into memory and scrambles rotated ones.
        with open(path, "rb") as stream, Image.open(stream) as file:
            photo = opaque(ImageOps.exif_transpose(file))
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: this is not an image in a format that Pillow reads") from error
    except Exception as error:  # on damaged files Pillow's decoders raise almost anything
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    photo = photo.convert(("L" if channels == 1 else "RGB") if channels else photo.mode)
    if height or width:
        scale = (height or 0) / photo.height or (width or 0) / photo.width
        size = (width or max(1, round(photo.width * scale)), height or max(1, round(photo.height * scale)))
        photo = ImageOps.fit(photo, size, Image.Resampling.BILINEAR)
    pixels = np.atleast_3d(np.asarray(photo)).transpose(2, 0, 1) / 255
    return np.ascontiguousarray(black * (1 - pixels) + white * pixels, np.float32)


def opaque(image: Image.Image) -> Image.Image:
    """A PIL image as mode L if grey, else RGB, with white behind transparency; InputError for mode F."""
    need(image.mode != "F", "float pixels (mode F) have no known white")
    if image.mode.startswith("I"):  # 16-bit grey, which older Pillow opens as mode I
        image = Image.fromarray(np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert(mode)
