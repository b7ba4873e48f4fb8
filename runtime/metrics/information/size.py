"""The information in an image, by the size of its lossless file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import features

from fluxpath.errors import InputError
from fluxpath.machine import cores
from fluxpath.runtime.metrics.base import Case, Image
from fluxpath.runtime.metrics.layout import Layout, range_of

CODECS = ("webp", "png")


def file_sizes(case: Case, images: Iterable[Image], codec: str) -> list[int]:
    """Bytes of each image, of the case's range, in 8 bits, lossless: WebP at quality 100, or optimised PNG.

    An input without a range is scaled by the case's own image, from its lowest to its highest value. Needs
    [h, w], [1, h, w] or [3, h, w]. The size depends a little on the version of Pillow's codecs. Each image is
    read before the next is asked for. Files are made on all cores, since making one costs several times what
    evaluating the image does; those of the image and of the substrate once for all cases that share `made`.
    """
    if codec == "webp" and not features.check("webp"):
        raise InputError("this Pillow cannot write WebP: choose codec='png'")
    kept, sizes = case.kept, list[Future[int] | int]()
    lasting: dict[Any, tuple[Image, Future[int]]] = {}
    with ThreadPoolExecutor(cores()) as threads:
        for image in images:
            key = "file size", codec, id(image), range_of(case)
            known, bytes_of_it = kept.get(key, (None, 0))
            if known is image:
                sizes.append(bytes_of_it)
                continue
            sizes.append(size := threads.submit(_size, _levels(case, image), codec))
            if image is case.image or not image.flags.writeable:
                lasting[key] = image, size
    for key, (image, size) in lasting.items():
        kept[key] = image, size.result()
    return [size if isinstance(size, int) else size.result() for size in sizes]


def _size(levels: npt.NDArray[np.uint8], codec: str) -> int:
    file = io.BytesIO()
    if codec == "webp":
        Pillow.fromarray(levels).save(file, "WEBP", lossless=True, quality=100)
    else:
        Pillow.fromarray(levels).save(file, "PNG", optimize=True)
    return len(file.getvalue())


def _levels(case: Case, image: Image) -> npt.NDArray[np.uint8]:
    layout = Layout(image.shape)
    height, width = layout.need_plane("an information curve")
    if layout.channels not in (1, 3):
        raise InputError(f"an information curve needs 1 or 3 channels, and these are {layout.channels}")
    low, high = range_of(case)
    if not np.isfinite(high - low):
        low, high = float(case.image.min()), float(case.image.max())
    unit = (image.astype(np.float64) - low) / ((high - low) or 1.0)
    levels = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8).reshape(-1, height, width)
    return levels[0] if len(levels) == 1 else np.ascontiguousarray(np.moveaxis(levels, 0, -1))
