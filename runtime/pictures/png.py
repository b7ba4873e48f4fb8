"""Writes pictures as PNG files that fluxpath can recognise later."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, PngImagePlugin

from fluxpath.checks import need
from fluxpath.files import as_path, replacing, unlinked

# The text entry "Software" of the pictures that are written here.
SOFTWARE = "fluxpath"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# No file of ours has more before its pixels.
_FRONT = 1 << 16


def save_png(
    image: Image.Image,
    path: str | os.PathLike[str],
    temporary: Path | None = None,
    comment: str | None = None,
) -> None:
    """Write a PIL image as a PNG file atomically: to a temporary file in the same folder, then os.replace.

    A reader of `path` sees the old file or the complete new one; a temporary file remains only if the process
    is killed, and `temporary` names it (see `replacing`). The file's text entry Software is "fluxpath", by
    which `is_ours` recognises it, and its entry Comment is `comment`.
    Raises InputError if the folder does not exist or PNG cannot hold the image's mode; OSError from the disk.
    """
    need(isinstance(image, Image.Image), f"a PIL image is written, got a {type(image).__name__}")
    target = as_path(path, "the file to write to")
    need(target.parent.is_dir(), f"{target}: there is no folder {target.parent} to write to")
    storable = image.mode in {"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"}
    need(storable, f"{target}: PNG cannot hold an image of mode {image.mode}, convert it to RGB first")
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", SOFTWARE)
    if comment is not None:
        about.add_text("Comment", comment)
    with replacing(target, temporary) as unfinished, unfinished.open("xb") as file:
        image.save(file, format="PNG", pnginfo=about)


def is_ours(path: str | os.PathLike[str], *, comment: str | None = None, cut: bool = False) -> bool:
    """Whether `save_png` wrote the file, with this comment if one is given; not so through a symbolic link.

    cut: also take a file that ends before it could say so, as the beginning of one of ours does.
    """
    try:
        with open(path, "rb", opener=unlinked) as file:
            data = file.read(_FRONT)
    except OSError:
        return False
    texts = _texts(data)
    if texts is None:
        return cut and data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]
    return texts.get(b"Software") == SOFTWARE.encode() and (
        comment is None or texts.get(b"Comment") == comment.encode()
    )


def _texts(data: bytes) -> dict[bytes, bytes] | None:
    """The text entries before the pixels of a PNG file; None if the file ends before its first whole one."""
    texts: dict[bytes, bytes] = {}
    at = len(_SIGNATURE)
    if data[:at] != _SIGNATURE[: len(data)]:
        return {}
    while data[at + 4 : at + 8] != b"IDAT":
        size = int.from_bytes(data[at : at + 4], "big")
        if len(data) < at + 12 + size:
            return texts or None
        if data[at + 4 : at + 8] == b"tEXt":
            key, _, text = data[at + 8 : at + 8 + size].partition(b"\0")
            texts[key] = text
        at += 12 + size
    return texts
