"""Loads photos from files as arrays."""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fluxpath.checks import need
from fluxpath.errors import InputError, first_line
from fluxpath.files import regular

# Pillow's names of the formats that are read, and the suffixes of their files. Not among them are formats
# that start a program (EPS: Ghostscript), and those in which nobody keeps photos.
FORMATS = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpeg", ".jpg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)

# The most pixels of a photo. It takes about nine bytes for each while it is read, 0.6 GB, and WebP seventeen.
MAX_PIXELS = 1 << 26
# Bytes of a file for each pixel that is allowed: twice what the widest pixels take without compression.
_FILE_BYTES = 16
# Rows that are laid on white at a time, to need less memory.
_BAND = 256

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def load_image(
    path: str | os.PathLike[str],
    shape: tuple[int | None, int | None, int | None],
    range: tuple[float, float] = (0.0, 1.0),
    *,
    max_pixels: int | None = MAX_PIXELS,
) -> NDArray[np.float32]:
    """The photo in a file as float32 [c,h,w]; black becomes range[0] and white range[1].

    `shape` is (c, h, w). c: 1 for grey, 3 for RGB, None to keep the file's. h, w: the photo, turned upright
    by its EXIF orientation, is resized bilinearly to cover h x w and cropped to the centre; if one is None
    it is resized to the other and keeps its aspect ratio, if both are None it keeps its size. Transparent
    parts become white, 16-bit grey is rounded to 8 bits, and an animation gives its first frame.
    The formats are FORMATS. A photo of more than `max_pixels` is refused before it is decoded; None leaves
    the limit to Pillow (Image.MAX_IMAGE_PIXELS).
    Raises InputError for a bad argument, and for a file (named) that is missing, cut, too large, no image or
    no regular file, and for pixels of 32 bits, whose white nobody knows.
    """
    (channels, height, width), (black, white) = shape, range
    fits = channels in (None, 1, 3) and all(side is None or side >= 1 for side in (height, width))
    need(fits, f"a photo has 1 or 3 channels and sides of 1 pixel or more, got shape {tuple(shape)}")
    need(math.isfinite(white - black) and black < white, f"range must be finite and rising, got {range}")
    need(max_pixels is None or max_pixels >= 1, f"max_pixels must be 1 or more, got {max_pixels}")
    try:
        photo = _decoded(path, max_pixels)
        photo = photo.convert(("L" if channels == 1 else "RGB") if channels else photo.mode)
        if height or width:
            scale = (height or 0) / photo.height or (width or 0) / photo.width
            size = (
                width or max(1, round(photo.width * scale)),
                height or max(1, round(photo.height * scale)),
            )
            photo = ImageOps.fit(photo, size, Image.Resampling.BILINEAR)
        pixels = np.atleast_3d(np.asarray(photo)).transpose(2, 0, 1) / 255
        return np.ascontiguousarray(black * (1 - pixels) + white * pixels, np.float32)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: this is not an image in a format that is read ({', '.join(FORMATS)})"
        ) from error
    except Exception as error:  # on damaged files Pillow's decoders raise almost anything
        raise InputError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or first_line(error)}"
        ) from error


def _decoded(path: str | os.PathLike[str], max_pixels: int | None) -> Image.Image:
    """The upright photo on white, of mode L or RGB."""
    # Opened here, because given a name Pillow maps plain TIFFs into memory and scrambles rotated ones.
    with open(path, "rb", opener=regular) as stream:
        if max_pixels is not None:
            size, most = os.fstat(stream.fileno()).st_size, _FILE_BYTES * max_pixels
            need(size <= most, f"the file has {size} bytes, and at most {most} are read")
        with Image.open(stream, formats=tuple(FORMATS)) as file:
            count = file.width * file.height
            need(
                max_pixels is None or count <= max_pixels,
                f"it has {file.width} x {file.height} pixels, and at most {max_pixels} are read",
            )
            ImageOps.exif_transpose(file, in_place=True)
            return opaque(file)


def opaque(image: Image.Image) -> Image.Image:
    """A PIL image as mode L if grey, else RGB, with white behind transparency.

    InputError for mode F, and for mode I beyond 16 bits.
    """
    need(image.mode != "F", "float pixels (mode F) have no known white")
    if image.mode.startswith("I"):
        image = Image.fromarray(_bytes(image))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return _on_white(image, mode) if image.has_transparency_data else image.convert(mode)


def _on_white(image: Image.Image, mode: str) -> Image.Image:
    flat = Image.new(mode, image.size)
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height))).convert("RGBA")
        flat.paste(Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert(mode), (0, top))
    return flat


def _bytes(image: Image.Image) -> NDArray[np.uint8]:
    """The grey values [h,w] of an image of 12 or 16 bits as bytes, white where it is transparent."""
    values, clear = np.asarray(image), image.info.get("transparency")
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        need(image.mode != "I", "pixels of 32 bits, or with a sign, (mode I) have no known white")
        white = (1 << int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0])) - 1
    else:  # older Pillow opens 16-bit PNG files as mode I
        white = 65535
        need(0 <= values.min() <= values.max() <= white, "pixels beyond 16 bits (mode I) have no known white")
    scaled = values.astype(np.uint32)
    if isinstance(clear, int):
        scaled[scaled == clear] = white
    scaled *= 255
    scaled += white // 2
    scaled //= white
    levels = scaled.astype(np.uint8)
    return 255 - levels if tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else levels
