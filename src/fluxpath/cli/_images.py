"""Images for a check of a gradient graph: the user's own, or noise."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need
from fluxpath.cli._common import say
from fluxpath.errors import InputError, first_line
from fluxpath.files import regular
from fluxpath.manifest import Manifest
from fluxpath.npy import Rows
from fluxpath.text import counted

MOST_BYTES = 2**31
"""What the images of a check may take, as they are in the file."""

Images = npt.NDArray[np.float32]


def images_from(path: Path, count: int, manifest: Manifest) -> Images:
    """The first `count` images of a folder, or of an .npz file's array 'images' (uint8 becomes [0, 1])."""
    images = _photos(path, count, manifest) if path.is_dir() else _archived(path, count)
    need(len(images), f"'{path}' holds no images: its array 'images' is empty")
    return images


def noise_for(manifest: Manifest, count: int) -> Images:
    """`count` images of uniform noise over the valid range, or of normal noise if the input is unbounded."""
    if None in manifest.shape:
        raise InputError(f"the model's input has the open shape {manifest.shape}: give images with --data")
    shape = (count, *(d for d in manifest.shape if d is not None))
    rng = np.random.default_rng(20240229)
    if manifest.low is None or manifest.high is None:
        return rng.standard_normal(shape, np.float32)
    return np.float32(manifest.low) + np.float32(manifest.high - manifest.low) * rng.random(shape, np.float32)


def _archived(path: Path, count: int) -> Images:
    try:
        with (
            open(path, "rb", opener=regular) as whole,
            zipfile.ZipFile(whole) as archive,
            archive.open("images.npy") as file,
        ):
            images = _first(file, count)
            pixels = images / 255 if images.dtype == np.uint8 else images
            return np.asarray(pixels, np.float32)
    except Exception as error:  # on a damaged archive zipfile and numpy can raise anything
        raise InputError(
            f"'{path}' is not an .npz file with an array 'images' of numbers in it, nor a folder "
            f"({first_line(error)})"
        ) from error


def _first(file: IO[bytes], count: int) -> npt.NDArray[Any]:
    """The first `count` rows of an array in the .npy format; no more of it is read or unpacked."""
    rows = Rows(file)
    wanted = min(count, rows.shape[0])
    size = rows.size_of(wanted)
    if size > MOST_BYTES:
        raise ValueError(f"{wanted} of its images have {size} bytes, and the most is {MOST_BYTES}")
    return rows.read(wanted)


def _photos(path: Path, count: int, manifest: Manifest) -> Images:
    from fluxpath.runtime.bulk.sources import photos_in
    from fluxpath.runtime.preparation import Preparation

    if None in manifest.shape:
        raise InputError(
            f"the model's input has the open shape {manifest.shape}: give images of one size in an .npz file"
        )
    shape = tuple(d for d in manifest.shape if d is not None)
    loader = Preparation.of(manifest, shape)
    loaded: list[Images] = []
    left_out: list[str] = []
    for file in photos_in(path):
        try:
            loaded.append(loader.load(file))
        except InputError as error:  # one damaged photo is no reason to try none
            left_out.append(str(error))
        if len(loaded) == count:
            break
    if not loaded:
        raise InputError(f"no image in the folder '{path}' can be read")
    if left_out:
        say(
            f"{counted(len(loaded), 'image')} of '{path}' taken, {len(left_out)} left out: {left_out[0]}",
            sys.stderr,
        )
    return np.stack(loaded)
