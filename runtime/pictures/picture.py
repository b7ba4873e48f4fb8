"""Attributions to pictures (heat maps, overlays, contact sheets), photos to arrays; numpy and Pillow only."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin, UnidentifiedImageError

from fluxpath.errors import InputError
from fluxpath.files import replacing

Channels: TypeAlias = Literal["sum", "abs", "max"]
Size: TypeAlias = int | tuple[int, int] | None

# Evenly spaced anchor colours (sRGB). "ember" was laid out in CIELAB: its lightness climbs evenly from 5
# to 96 as the hue turns from blue-black over violet to orange and pale yellow, so it keeps its order in grey.
COLORMAPS = {
    "ember": "061028 102668 46399c 9646ac e65274 fa8e40 ffc45c fff3a0",
    "grey": "000000 ffffff",
}
BACKGROUND, INK = (250, 250, 248), (40, 42, 48)
# What the pictures that are written here say of themselves.
SOFTWARE = "fluxpath"


def normalize(
    values: NDArray[Any], low: float = 80.0, high: float = 99.0, *, channels: Channels = "sum"
) -> NDArray[np.float32]:
    """Attributions [c,h,w] or [h,w], real numbers, as an importance map float32 [h,w] in [0,1].

    `channels` joins the channels first. "sum" (default) is what AGI's code shows (as a mean: the same map)
    and keeps the methods' meaning: attributions sum to a change of the score, so evidence for and against
    cancels in a pixel. "abs" sums magnitudes, for evidence of either sign; "max" takes the largest channel.
    Then appendix A.1 of NeFLAG (Li et al., IJCAI 2023; after AGI): values under the `low` percentile q become
    q, values over the `high` percentile u become u, and [q,u] goes linearly to [0,1]. No further cut at zero:
    by default only the strongest fifth rises above 0. Where over `high` percent of a map tie at q, u is the
    maximum, so that a lone important pixel shows. A constant map gives zeros.
    Raises InputError: rank, dtype, no pixels, NaN or inf, not 0 <= low < high <= 100, unknown `channels`.
    """
    array = np.asarray(values)
    fits = array.ndim in (2, 3) and array.size and array.dtype.kind in "fiu"
    _need(fits, f"attributions must be real numbers [c,h,w] or [h,w], got {array.dtype} {list(array.shape)}")
    _need(np.isfinite(array).all(), "attributions must be finite, got NaN or infinity")
    _need(0 <= low < high <= 100, f"percentiles must satisfy 0 <= low < high <= 100, got {low} and {high}")
    _need(channels in ("sum", "abs", "max"), f'channels must be "sum", "abs" or "max", got {channels!r}')
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
    Nearest-neighbour keeps a small image's pixels visible; `smooth` resizes the map bicubically first.
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
    """An image with the heat of its attributions over it, as a PIL RGB picture.

    `image` is [c,h,w] with c 1 or 3, or [h,w]: float in [0,1] (0.001 beyond is clipped) or uint8; `values`
    has the same h, w. The image as ITU-R 601 luma (grey=False: in colour) times `brightness`, which lets heat
    outshine white, is the ground g. Where the normalised attribution is n, the overlay is
    (1 - alpha n) g + alpha n heat(n), so what is unimportant shows the image. The rest is as in `heatmap`.
    Raises InputError as `heatmap` does, and for an image of another shape, dtype or range, or a bad alpha.
    """
    small = normalize(values, low, high, channels=channels)
    pixels = np.asarray(image)[None] if np.ndim(image) == 2 else np.asarray(image)
    fits = pixels.shape in [(c, *small.shape) for c in (1, 3)]
    _need(fits, f"the image must be 1 or 3 channels of {small.shape} as its values, got {np.shape(image)}")
    is_byte = pixels.dtype == np.uint8
    _need(is_byte or pixels.dtype.kind == "f", f"the image must be uint8 or float, got {pixels.dtype}")
    planes = pixels / 255 if is_byte else pixels
    in_range = (np.abs(planes - 0.5) <= 0.501).all()
    _need(in_range, f"a float image must be in [0,1], got values from {planes.min()} to {planes.max()}")
    _need(0 <= alpha <= 1 and 0 <= brightness <= 1, f"not between 0 and 1: {alpha=} or {brightness=}")
    planes = np.tensordot((0.299, 0.587, 0.114), planes, 1)[None] if grey and len(planes) == 3 else planes
    base = np.stack([_resized(plane, size, smooth) for plane in planes], axis=-1) * 255 * brightness
    weight = _resized(small, size, smooth)
    blend = base + alpha * weight[..., None] * (_coloured(weight, colormap) - base)
    return Image.fromarray(np.rint(blend).astype(np.uint8))


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    headers: Sequence[str] = (),
    labels: Sequence[str] = (),
    cell: int = 96,
    gap: int = 8,
) -> Image.Image:
    """A light RGB sheet of PIL images of any mode but F, `gap` pixels apart; rows may differ in length.

    Each image is fitted into cell x cell with its aspect kept (nearest-neighbour to enlarge, Lanczos to
    shrink). Give a header per column or none, a label per row or none; columns and rows widen to show them
    whole, and "\\n" starts a new line. Pillow's built-in font has the letters of western Europe.
    Raises InputError: no images, cell < 1, gap < 0, headers or labels of another number than columns or rows.
    """
    columns = max((len(row) for row in rows), default=0)
    drawable = columns and cell >= 1 and gap >= 0
    _need(drawable, f"a sheet needs images, cell >= 1 and gap >= 0, got {columns=}, {cell=} and {gap=}")
    named = len(headers) in (0, columns) and len(labels) in (0, len(rows))
    got = f"{len(headers)} headers for {columns} columns and {len(labels)} labels for {len(rows)} rows"
    _need(named, f"headers and labels must be one each or none, got {got}")

    font = ImageFont.load_default(size=max(12, round(cell / 7)))
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    # Each text's top (above its anchor, so negative) and right edge.
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


def load_image(
    path: str | os.PathLike[str],
    shape: tuple[int | None, int | None, int | None],
    range: tuple[float, float] = (0.0, 1.0),
) -> NDArray[np.float32]:
    """The photo in a file as float32 [c,h,w]; black becomes range[0] and white range[1].

    `shape` is (c, h, w). c: 1 for grey, 3 for RGB, None for what the file has. h, w: the photo, turned
    upright by its EXIF orientation, is resized bilinearly to cover h x w and cut to its centre; with one of
    them None it is resized to the other and keeps its aspect, with both None it keeps its size. Transparent
    parts show white, 16-bit grey is rounded to 8 bits, and of an animation the first frame counts.
    Raises InputError for a bad argument or, naming it, a file that is missing, no image, cut or too large.
    """
    (channels, height, width), (black, white) = shape, range
    fits = channels in (None, 1, 3) and all(side is None or side >= 1 for side in (height, width))
    _need(fits, f"a photo has 1 or 3 channels and sides of 1 pixel or more, got shape {tuple(shape)}")
    _need(math.isfinite(white - black) and black < white, f"range must be finite and rising, got {range}")
    try:
        # Not by its name: Pillow then maps plain TIFFs into memory and scrambles those lying on their side.
        with open(path, "rb") as stream, Image.open(stream) as file:
            photo = _opaque(ImageOps.exif_transpose(file))
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


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Writes a PIL image as a PNG file atomically: to a temporary file in the same folder, then os.replace.

    A reader of `path` sees the old file or the whole new one; whatever goes wrong, no temporary file stays.
    Its text entry Software is "fluxpath", so that `is_ours` knows it again.
    Raises InputError when there is no such folder or PNG cannot hold the image's mode; OSError from the disk.
    """
    target = Path(path)
    _need(target.parent.is_dir(), f"{target}: there is no folder {target.parent} to write to")
    storable = image.mode in {"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"}
    _need(storable, f"{target}: PNG cannot hold an image of mode {image.mode}, convert it to RGB first")
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", SOFTWARE)
    with replacing(target) as temporary, temporary.open("xb") as file:
        image.save(file, format="PNG", pnginfo=about)


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether `save_png` wrote the file."""
    try:
        with Image.open(path) as file:
            return file.info.get("Software") == SOFTWARE
    except Exception:  # on damaged files Pillow's decoders raise almost anything
        return False


def _need(ok: object, message: str) -> None:
    """InputError with this message unless `ok` is true."""
    if not ok:
        raise InputError(message)


def _resized(plane: NDArray[Any], size: Size, smooth: bool) -> NDArray[np.float64]:
    """A plane [h,w] in [0,1] as float64 at `size`, see `heatmap`, clipped as bicubic resizing overshoots."""
    h, w = plane.shape
    if not isinstance(size, tuple):
        size = (h, w) if size is None else (math.ceil(h * size / max(h, w)), math.ceil(w * size / max(h, w)))
    _need(min(size) >= 1, f"the size of a picture must be 1 pixel or more, got {size}")
    way = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    picture = Image.fromarray(plane.astype(np.float32)).resize(size[::-1], way)
    return np.clip(np.asarray(picture, np.float64), 0, 1)


def _coloured(weight: NDArray[np.float64], colormap: str) -> NDArray[np.float64]:
    """Colours float64 [h,w,3] in 0..255 of weights [h,w] in [0,1]; InputError for an unknown colour map."""
    _need(colormap in COLORMAPS, f"there is no colour map {colormap!r}, only {', '.join(COLORMAPS)}")
    anchors = np.frombuffer(bytes.fromhex(COLORMAPS[colormap]), np.uint8).reshape(-1, 3)
    return np.stack([np.interp(weight, np.linspace(0, 1, len(anchors)), band) for band in anchors.T], axis=-1)


def _fitted(image: Image.Image, cell: int) -> Image.Image:
    """A PIL image made opaque, its longer side resized to `cell` pixels and its aspect kept."""
    scale = cell / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return _opaque(image).resize((width, height), way)


def _opaque(image: Image.Image) -> Image.Image:
    """A PIL image as mode L (it is grey) or RGB, on white where it is transparent; InputError for mode F."""
    _need(image.mode != "F", "float pixels (mode F) have no known white")
    if image.mode.startswith("I"):  # 16-bit grey, which older Pillow opens as mode I
        image = Image.fromarray(np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert(mode)
