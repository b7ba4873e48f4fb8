"""Which files are opened as photos, and how much of them: hostile ones, deep pixels, damaged bytes."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import mutated_images
import numpy as np
import pytest
from PIL import Image, ImageFile

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import FORMATS, load_image

UNREAD = re.escape("this is not an image in a format that is read (BMP, GIF, JPEG, PNG, TIFF, WEBP)")
DEEP = Image.fromarray(np.array([[0, 257, 100 * 257, 65535]], np.uint16))


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def store(folder: Path, image: Image.Image | np.ndarray, name: str = "a.png", **options: Any) -> Path:
    path = folder / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    """Opening any of these could wait for ever."""
    path = tmp_path / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.symlink_to(os.devnull)
    with pytest.raises(InputError, match=r"a\.png: cannot be read: it is not a regular file$"):
        load_image(path, (3, 8, 8))


def test_the_pixels_are_counted_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(tmp_path, photo(40, 41))
    assert load_image(path, (1, None, None), max_pixels=40 * 41).shape == (1, 40, 41)
    assert load_image(path, (1, None, None), max_pixels=None).shape == (1, 40, 41)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"a\.png: .*has 41 x 40 pixels, and at most 1639 are read"):
        load_image(path, (1, 4, 4), max_pixels=40 * 41 - 1)
    with pytest.raises(InputError, match="max_pixels must be 1 or more, got 0"):
        load_image(path, (1, 4, 4), max_pixels=0)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a.tif", "a.bmp", "a.jpg"])
def test_what_the_pixels_cannot_need_is_not_read(tmp_path: Path, name: str) -> None:
    """WebP files are read as a whole."""
    path = store(tmp_path, photo(4, 4, 3), name)
    with path.open("ab") as file:
        file.truncate(16 * 99 + 1)
    with pytest.raises(InputError, match="the file has 1585 bytes, and at most 1584 are read"):
        load_image(path, (3, 4, 4), max_pixels=99)


@pytest.mark.parametrize("side", [255, 256, 257, 600])
def test_large_transparent_photos_are_laid_on_white_everywhere(tmp_path: Path, side: int) -> None:
    levels = photo(side, 5, 4)
    loaded = load_image(store(tmp_path, levels), (3, None, None)) * 255
    weight = levels[..., 3:] / 255
    np.testing.assert_allclose(
        loaded.transpose(1, 2, 0), 255 * (1 - weight) + levels[..., :3] * weight, atol=1
    )


@pytest.mark.parametrize("ending", ["eps", "ppm", "ico", "pcx"])
def test_other_formats_are_not_even_tried(tmp_path: Path, ending: str) -> None:
    """Whatever the file is called: EPS would start Ghostscript."""
    path = store(tmp_path, photo(16, 16, 3), f"a.{ending}")
    path = path.rename(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {UNREAD}$"):
        load_image(path, (3, 8, 8))


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.float32])
def test_pixels_whose_white_nobody_knows_are_refused(tmp_path: Path, kind: Any) -> None:
    image = Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8) * 10**7).convert("I")
    path = tmp_path / "a.tif"
    if kind is np.float32:
        image.convert("F").save(path)
    else:
        image.save(path)
    if kind is np.uint32:  # as other programs write it: the same bytes, without a sign
        path.write_bytes(path.read_bytes().replace(tag(339, 2), tag(339, 1)))
    with pytest.raises(InputError, match=r"a\.tif: .*have no known white"):
        load_image(path, (1, 8, 8))


def tag(number: int, value: int) -> bytes:
    """An entry of a TIFF directory with one number of 16 bits."""
    return struct.pack("<HHIHxx", number, 3, 1, value)


def deep_tiff(pixels: bytes, width: int, bits: int, photometric: int = 1) -> bytes:
    """A TIFF file of one grey row, which Pillow cannot write in 12 bits or with white at 0."""
    offset = struct.pack("<HHII", 273, 4, 1, 8)
    entries = [tag(256, width), tag(257, 1), tag(258, bits), tag(259, 1), tag(262, photometric), offset]
    entries += [tag(277, 1), tag(278, 1), tag(279, len(pixels))]
    data = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
    return data + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (deep_tiff(np.array([0, 257 * 9, 65535], "<u2").tobytes(), 3, 16), [0, 9, 255]),
        (deep_tiff(np.array([0, 257 * 9, 65535], "<u2").tobytes(), 3, 16, photometric=0), [255, 246, 0]),
        (deep_tiff(bytes.fromhex("000fff"), 2, 12), [0, 255]),
        (deep_tiff(bytes([0, 9, 255]), 3, 8, photometric=0), [255, 246, 0]),
    ],
    ids=["16 bits", "white at 0", "12 bits", "8 bits, white at 0"],
)
def test_deep_grey_is_scaled_by_its_own_white(tmp_path: Path, data: bytes, expected: list[int]) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    loaded = load_image(tmp_path / "a.tif", (1, None, None))
    np.testing.assert_allclose(loaded.ravel() * 255, expected, atol=0.01)


def test_deep_grey_is_white_where_it_is_transparent(tmp_path: Path) -> None:
    path = store(tmp_path, DEEP, transparency=25700)
    np.testing.assert_allclose(load_image(path, (1, None, None)).ravel() * 255, [0, 1, 255, 255], atol=0.01)
    assert DEEP.mode == "I;16"


def test_every_suffix_has_its_format(tmp_path: Path) -> None:
    for form, suffixes in FORMATS.items():
        for suffix in suffixes:
            with Image.open(store(tmp_path, photo(4, 4, 3), f"a{suffix}")) as image:
                assert image.format == form


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs alarms")
def test_a_thousand_damaged_images() -> None:
    """No crash, no hang, no other error, and no more memory than one photo takes."""
    script = Path(mutated_images.__file__)
    command = [sys.executable, str(script), "--count", "1000", "--seed", "100000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"at most (\d+) MB", done.stdout)[1]) < 1000
