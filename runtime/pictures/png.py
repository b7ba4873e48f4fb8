"""Writes pictures as PNG files that fluxpath can recognise later."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, PngImagePlugin

from fluxpath.checks import need
from fluxpath.files import replacing

# The text entry "Software" of the pictures that are written here.
SOFTWARE = "fluxpath"


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a PIL image as a PNG file atomically: to a temporary file in the same folder, then os.replace.

    A reader of `path` sees the old file or the complete new one, and no temporary file ever remains.
    The file's text entry Software is "fluxpath", by which `is_ours` recognises it.
    Raises InputError if the folder does not exist or PNG cannot hold the image's mode; OSError from the disk.
    """
    target = Path(path)
    need(target.parent.is_dir(), f"{target}: there is no folder {target.parent} to write to")
    storable = image.mode in {"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"}
    need(storable, f"{target}: PNG cannot hold an image of mode {image.mode}, convert it to RGB first")
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
