"""Photos to arrays: decoded, turned upright, fitted to the model's input, scaled to its range."""

from __future__ import annotations

import io
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fluxpath.checks import need
from fluxpath.errors import InputError, first_line
from fluxpath.files import regular
from fluxpath.preprocessing import DEFAULT, Preprocessing

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
_TEXT = "it gives no bytes: open it in binary mode, as with open(..., 'rb')"
# Bytes of an open file that are read at a time.
_PIECE = 1 << 20
# A PIL image reads its file on first use, and two threads can be given the same image.
_LOADING = threading.Lock()
# Rows that are laid on white at a time, to need less memory.
_BAND = 256

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO, _ORIENTATION = 258, 262, 0, 274


def load_image(
    path: str | os.PathLike[str],
    shape: tuple[int | None, int | None, int | None],
    range: tuple[float, float] = (0.0, 1.0),
    *,
    max_pixels: int | None = MAX_PIXELS,
    preprocessing: Preprocessing = DEFAULT,
) -> NDArray[np.float32]:
    """The photo in a file as float32 [c,h,w]; black becomes range[0] and white range[1].

    `shape` is (c, h, w). c: 1 for grey, 3 for RGB, None to keep the file's. h, w: the photo, turned upright
    by its EXIF orientation, is fitted to h x w as `preprocessing` says (bilinearly resized to cover it and
    cropped to the centre); if one is None it is resized to the other and keeps its aspect ratio, if both are
    None it keeps its size. Transparent parts become white, 16-bit grey is rounded to 8 bits, and an animation
    gives its first frame.
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
    with reading(str(path)):
        return scaled(fitted(decoded(path, max_pixels), shape, preprocessing), range)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what Pillow raises into an InputError that begins with the photo's name."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name}: this is not an image in a format that is read ({', '.join(FORMATS)})"
        ) from error
    except Exception as error:  # on damaged files Pillow's decoders raise almost anything
        raise InputError(
            f"{name}: cannot be read: {getattr(error, 'strerror', None) or first_line(error)}"
        ) from error


def decoded(
    source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image, max_pixels: int | None = MAX_PIXELS
) -> Image.Image:
    """The upright photo on white, of mode L or RGB: of a path, a file's bytes, an open file, a PIL image.

    What the caller opened stays open, and a PIL image unchanged. Raises what Pillow raises.
    """
    if isinstance(source, Image.Image):
        return _upright(source, max_pixels)
    if isinstance(source, str | os.PathLike):
        # Opened here, because given a name Pillow maps plain TIFFs into memory and scrambles rotated ones.
        with open(source, "rb", opener=regular) as stream:
            return _read(stream, os.fstat(stream.fileno()).st_size, max_pixels)
    if not isinstance(source, bytes):
        source = _content(source, max_pixels)
    return _read(io.BytesIO(source), len(source), max_pixels)


def _content(stream: BinaryIO, max_pixels: int | None) -> bytes:
    """What is left of an open file, and no more of it than a photo can have."""
    most = math.inf if max_pixels is None else _FILE_BYTES * max_pixels
    parts: list[bytes] = []
    need(not isinstance(stream, io.TextIOBase), _TEXT)
    size = 0
    while size <= most:  # in pieces, because for one read memory of that size would be taken
        part = stream.read(_PIECE)
        need(isinstance(part, bytes), _TEXT)
        if not part:
            break
        parts.append(part)
        size += len(part)
    need(parts, "nothing is left of it: it is empty, or was read to its end (its seek(0) goes back)")
    return b"".join(parts)


def _read(stream: BinaryIO, size: int, max_pixels: int | None) -> Image.Image:
    if max_pixels is not None:
        most = _FILE_BYTES * max_pixels
        need(size <= most, f"the file has {size} bytes, and at most {most} are read")
    with Image.open(stream, formats=tuple(FORMATS)) as file:
        _need_few(file, max_pixels)
        ImageOps.exif_transpose(file, in_place=True)
        return opaque(file)


def _need_few(image: Image.Image, max_pixels: int | None) -> None:
    need(image.width and image.height, f"of {image.width} x {image.height}, it has no pixels")
    need(
        max_pixels is None or image.width * image.height <= max_pixels,
        f"it has {image.width} x {image.height} pixels, and at most {max_pixels} are read",
    )


def _upright(image: Image.Image, max_pixels: int | None) -> Image.Image:
    _need_few(image, max_pixels)
    with _LOADING:
        image.load()  # turns a TIFF already
        turn = image.getexif().get(_ORIENTATION)
    flat = opaque(image)
    flat.getexif()[_ORIENTATION] = turn or 1
    return ImageOps.exif_transpose(flat)


def fitted(
    photo: Image.Image, shape: tuple[int | None, int | None, int | None], how: Preprocessing = DEFAULT
) -> Image.Image:
    """The photo with the channels and the size of `shape`; see `load_image`. InputError if it gets huge."""
    channels, height, width = shape
    photo = photo.convert(("L" if channels == 1 else "RGB") if channels else photo.mode)
    if not (height or width):
        return photo
    method = Image.Resampling[how.interpolation.upper()]
    if how.resize is not None and height and width:
        return _cropped(_shorter(photo, how.resize, method), height, width)
    scale = (height or 0) / photo.height or (width or 0) / photo.width
    size = (width or max(1, round(photo.width * scale)), height or max(1, round(photo.height * scale)))
    if how.pad:
        return ImageOps.pad(photo, size, method, color="black")
    return ImageOps.fit(photo, size, method)


def _shorter(photo: Image.Image, side: int, method: Image.Resampling) -> Image.Image:
    """The photo resized so that its shorter side has so many pixels; the longer one is rounded down."""
    longer = int(side * max(photo.size) / min(photo.size))
    need(
        side * longer <= MAX_PIXELS,
        f"of {photo.width} x {photo.height} pixels it would be resized to {side} x {longer}, and at most "
        f"{MAX_PIXELS} pixels are made",
    )
    return photo.resize((side, longer) if photo.width <= photo.height else (longer, side), method)


def _cropped(photo: Image.Image, height: int, width: int) -> Image.Image:
    need(
        photo.width >= width and photo.height >= height,
        f"it is resized to {photo.width} x {photo.height} pixels, less than the input's {width} x {height}",
    )
    left, top = round((photo.width - width) / 2), round((photo.height - height) / 2)
    return photo.crop((left, top, left + width, top + height))


def scaled(photo: Image.Image, range: tuple[float, float]) -> NDArray[np.float32]:
    """The levels of a photo of mode L or RGB as float32 [c,h,w], 0 at range[0] and 255 at range[1]."""
    black, white = range
    pixels = np.atleast_3d(np.asarray(photo)).transpose(2, 0, 1) / 255
    return np.ascontiguousarray(black * (1 - pixels) + white * pixels, np.float32)


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
        need(
            image.mode != "I" or image.format == "PNG" or values.max() > 255,
            "pixels of 32 bits (mode I) within 0 to 255 could be levels of 8 bits or of 16: pass uint8 or "
            "uint16, as with Image.fromarray(np.asarray(image).astype(np.uint8))",
        )
    scaled = values.astype(np.uint32)
    if isinstance(clear, int):
        scaled[scaled == clear] = white
    scaled *= 255
    scaled += white // 2
    scaled //= white
    levels = scaled.astype(np.uint8)
    return 255 - levels if tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else levels
