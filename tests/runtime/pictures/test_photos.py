"""Photos read from files made on the spot."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.preprocessing import INTERPOLATIONS, Preprocessing
from fluxpath.runtime.pictures import load_image


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def plain(colour: Any, width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), colour)


def store(folder: Path, image: Image.Image | np.ndarray, name: str = "a.png", **options: Any) -> Path:
    path = folder / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


# --- load_image: sizes and ranges


@pytest.mark.parametrize("shape", [(3, 6, 9), (3, None, None), (None, None, None), (3, 6, None)])
def test_a_photo_comes_back_exactly(tmp_path: Path, shape: Any) -> None:
    levels = photo(6, 9, 3)
    loaded = load_image(str(store(tmp_path, levels)), shape)
    assert loaded.dtype == np.float32
    assert loaded.flags.c_contiguous
    np.testing.assert_array_equal(loaded, (np.moveaxis(levels, 2, 0) / 255).astype(np.float32))


@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 255.0), (5.0, 6.0)])
def test_the_range_is_met_at_both_ends(tmp_path: Path, span: tuple[float, float]) -> None:
    path = store(tmp_path, np.arange(256, dtype=np.uint8).reshape(16, 16))
    loaded = load_image(path, (1, None, None), span)
    expected = [span[0] + (span[1] - span[0]) * k / 255 for k in range(256)]
    np.testing.assert_allclose(loaded.ravel(), expected, rtol=1e-6, atol=1e-6)
    assert (loaded.min(), loaded.max()) == span


def slow_fit(plane: np.ndarray, size: int, start: float, length: float) -> np.ndarray:
    """Pixels start .. start + length of the last axis to `size`, by a triangle filter, as Pillow does."""
    out, scale = np.zeros((plane.shape[0], size)), length / size
    for j in range(size):
        centre, reach = start + (j + 0.5) * scale, max(scale, 1.0)
        weights = [max(0.0, 1 - abs(k + 0.5 - centre) / reach) for k in range(plane.shape[1])]
        for i in range(plane.shape[0]):
            out[i, j] = sum(w * v for w, v in zip(weights, plane[i], strict=True)) / sum(weights)
    return out


@pytest.mark.parametrize("upright", [False, True])
def test_the_short_side_is_resized_and_the_centre_kept(tmp_path: Path, upright: bool) -> None:
    levels = photo(24, 40)
    path = store(tmp_path, levels.T if upright else levels)
    small, cut = (load_image(path, (1, side, side))[0] * 255 for side in (12, 24))
    expected = slow_fit(slow_fit(levels, 12, 8, 24).T, 12, 0, 24).T
    np.testing.assert_allclose(small.T if upright else small, expected, atol=1.01)
    np.testing.assert_array_equal((cut.T if upright else cut).round(), levels[:, 8:32])


def test_with_one_side_given_the_aspect_is_kept(tmp_path: Path) -> None:
    path = store(tmp_path, photo(20, 50, 3))
    assert load_image(path, (3, 10, None)).shape == (3, 10, 25)
    assert load_image(path, (3, None, 100)).shape == (3, 40, 100)
    assert load_image(path, (3, None, 1)).shape == (3, 1, 1)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, name: str) -> None:
    levels, exif = photo(5, 8), Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(store(tmp_path, levels, name, exif=exif), (1, None, None))
    np.testing.assert_array_equal((loaded[0] * 255).round(), UPRIGHT[orientation](levels))


# --- load_image: grey, colour, alpha, palettes


def strip(mode: str, *pixels: Any) -> Image.Image:
    """An image of one row."""
    image = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        image.putpixel((x, 0), pixel)
    return image


GREY, COLOUR = strip("L", 0, 100, 255), strip("RGB", (200, 100, 0), (0, 0, 255))
RGBA = strip("RGBA", (200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51))
PALETTE = strip("P", 0, 1, 2)
PALETTE.putpalette([250, 10, 20, 0, 200, 40, 7, 8, 9])
DEEP = Image.fromarray(np.array([[0, 257, 100 * 257, 65535]], np.uint16))
FRAMES: dict[str, Any] = {"save_all": True, "append_images": [plain("blue", 1, 1)]}
MODES = {
    "grey": (GREY, "png", {}, None, [[0], [100], [255]]),
    "grey as colour": (GREY, "png", {}, 3, [[0] * 3, [100] * 3, [255] * 3]),
    "colour": (COLOUR, "png", {}, None, [[200, 100, 0], [0, 0, 255]]),
    "colour as luma": (COLOUR, "png", {}, 1, [[118.5], [29.07]]),
    "alpha": (RGBA, "png", {}, 3, [[200, 100, 0], [255, 255, 255], [244, 224, 204]]),
    "grey alpha": (strip("LA", (90, 255), (90, 0)), "png", {}, None, [[90], [255]]),
    "palette": (PALETTE, "png", {}, None, [[250, 10, 20], [0, 200, 40], [7, 8, 9]]),
    "clear colour": (PALETTE, "png", {"transparency": 1}, 3, [[250, 10, 20], [255] * 3, [7, 8, 9]]),
    "16 bits": (DEEP, "png", {}, None, [[0], [1], [100], [255]]),
    "1 bit": (strip("1", 0, 255), "png", {}, None, [[0], [255]]),
    "CMYK": (strip("CMYK", (0, 255, 255, 0)), "tif", {}, None, [[255, 0, 0]]),
    "animation": (plain("red", 1, 1), "gif", FRAMES, None, [[255, 0, 0]]),
}


@pytest.mark.parametrize(("image", "ending", "options", "channels", "expected"), MODES.values(), ids=MODES)
def test_every_mode_loads_as_grey_or_colour_on_white(
    tmp_path: Path, image: Image.Image, ending: str, options: Any, channels: int | None, expected: Any
) -> None:
    path = store(tmp_path, image, f"a.{ending}", **options)
    pixels = 255 * load_image(path, (channels, None, None))[:, 0].T
    assert pixels.shape == np.shape(expected)
    np.testing.assert_allclose(pixels, expected, atol=0.6)


# --- load_image: refusals

UNREAD = re.escape("this is not an image in a format that is read (BMP, GIF, JPEG, PNG, TIFF, WEBP)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.png", "cannot be read: No such file or directory"),
        ("", "cannot be read: Is a directory"),
        ("note.png", UNREAD),
        ("empty.png", UNREAD),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "note.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))}: {said}$"):
        load_image(tmp_path / name, (3, 8, 8))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path, name: str, share: float) -> None:
    path = store(tmp_path, photo(40, 40, 3), name)
    assert load_image(path, (3, 40, 40)).shape == (3, 40, 40)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_image(path, (3, 40, 40))


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path, photo(40, 40, 3))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.png: cannot be read: "):
        load_image(path, (3, 40, 40))


def test_float_pixels_and_huge_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a\.tif: cannot be read: float pixels"):
        load_image(store(tmp_path, np.ones((4, 4), np.float32), "a.tif"), (1, 4, 4))
    path = store(tmp_path, photo(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"a\.png: cannot be read: .*exceeds limit"):
        load_image(path, (1, 4, 4))


@pytest.mark.parametrize(
    ("shape", "span", "said"),
    [(shape, (0, 1), f"got shape {shape}") for shape in [(2, 4, 4), (0, 4, 4), (3, 0, 4), (3, 4, -1)]]
    + [((1, 4, 4), span, "finite and rising") for span in [(1, 0), (1, 1), (0, math.inf), (math.nan, 1)]],
)
def test_a_bad_shape_or_range_is_refused(tmp_path: Path, shape: Any, span: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        load_image(store(tmp_path, photo(4, 4)), shape, span)


# --- load_image: how a file says that photos become inputs


def centre(image: Image.Image, height: int, width: int) -> Image.Image:
    """As torchvision's CenterCrop."""
    left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
    return image.crop((left, top, left + width, top + height))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(50, 40), (40, 50), (33, 33), (15, 90), (7, 9)])
@pytest.mark.parametrize("crop", [(20, 20), (13, 22), (24, 24)])
def test_resized_and_cropped_as_torchvision_does(
    tmp_path: Path, interpolation: str, size: tuple[int, int], crop: tuple[int, int]
) -> None:
    """Resize(24) and CenterCrop(crop), with antialias, on a PIL image, written out; shrunk and enlarged."""
    levels = photo(size[1], size[0], 3)
    w, h = size
    new = (24, int(24 * h / w)) if w <= h else (int(24 * w / h), 24)
    method = getattr(Image.Resampling, interpolation.upper())
    expected = np.asarray(centre(Image.fromarray(levels).resize(new, method), *crop))
    how = Preprocessing(24, crop, interpolation)
    loaded = load_image(store(tmp_path, levels), (3, *crop), preprocessing=how)
    np.testing.assert_array_equal(loaded, (np.moveaxis(expected, 2, 0) / 255).astype(np.float32))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_without_a_size_the_photo_covers_the_input(tmp_path: Path, interpolation: str) -> None:
    levels, method = photo(24, 40), getattr(Image.Resampling, interpolation.upper())
    how = Preprocessing(interpolation=interpolation)
    loaded = load_image(store(tmp_path, levels), (1, 12, 12), preprocessing=how)
    expected = Image.fromarray(levels).resize((12, 12), method, box=(8, 0, 32, 24))
    np.testing.assert_array_equal(loaded[0], (np.asarray(expected) / 255).astype(np.float32))


@pytest.mark.parametrize("upright", [False, True])
def test_padding_keeps_the_whole_photo(tmp_path: Path, upright: bool) -> None:
    levels = photo(10, 20)
    levels = levels.T if upright else levels
    path = store(tmp_path, levels)
    loaded = load_image(path, (1, 30, 30), (-1, 1), preprocessing=Preprocessing(pad=True))[0]
    loaded = loaded.T if upright else loaded
    assert (loaded[:7] == -1).all() and (loaded[-7:] == -1).all()  # of 7.5 on each side
    size = (15, 30) if upright else (30, 15)
    whole = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR)) / 127.5 - 1
    inside = loaded[8:23] if np.allclose(loaded[7], -1) else loaded[7:22]
    np.testing.assert_allclose(inside, whole.T if upright else whole, atol=1e-6)


def test_a_photo_that_would_get_huge_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path, photo(2, 20_000))
    how = Preprocessing(2**13, 8)
    with pytest.raises(InputError, match=r"a\.png: .* would be resized to 8192 x 81920000, and at most"):
        load_image(path, (1, 8, 8), preprocessing=how)
    assert load_image(path, (1, 8, 8)).shape == (1, 8, 8)
