"""Which dimension of an array of bytes is what."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError

Levels = npt.NDArray[np.uint8]

_FORMS = (
    "[h, w, c], [c, h, w], [n, h, w, c] or [n, c, h, w] of 1 or 3 channels c, or grey [h, w] or [n, h, w]"
)
_CHANNELS = (1, 3)
_WITH_ALPHA = (2, 4)


def photos_in_array(name: str, array: npt.NDArray[Any], channels: int) -> list[Levels]:
    """The photos in an array of uint8, each [h, w] or [h, w, 3]; `channels` are the model's.

    Three dimensions are photos of the grey [n, h, w] only where the model is grey or nothing else fits.
    InputError, which calls the array `name`, if it has none of these forms, or could have two of them.
    """
    shape, photos = array.shape, list[Levels]()
    if 0 in shape:
        raise InputError(f"{name} of shape {list(shape)} are empty: pass at least one photo")
    if array.ndim == 2:
        photos = [array]
    elif array.ndim == 3:
        photos = _of_three(name, array, channels)
    elif array.ndim == 4:
        last, first = shape[3] in _CHANNELS, shape[1] in _CHANNELS
        if first and last and shape[1:] != (1, 1, 1):
            raise _ambiguous(name, shape, "[n, h, w, c]", "[n, c, h, w]", _AS_PICTURES)
        photos = list(array) if last else list(np.moveaxis(array, 1, 3)) if first else []
    if not photos:
        alpha = ": take the first three channels, or pass PIL images, whose transparency becomes white"
        raise InputError(
            f"{name} in bytes have shape {list(shape)}, and must have {_FORMS}"
            + (alpha if array.ndim > 2 and 4 in (shape[-1], shape[-3]) else "")
        )
    return [p[:, :, 0] if p.ndim == 3 and p.shape[2] == 1 else p for p in photos]


_AS_PICTURES = "pass PIL images, which Image.fromarray makes of arrays [h, w, c]"


def _of_three(name: str, array: Levels, channels: int) -> list[Levels]:
    shape = array.shape
    last, first = shape[2] in _CHANNELS, shape[0] in _CHANNELS
    if first and last and shape != (1, 1, 1):
        raise _ambiguous(name, shape, "[h, w, c]", "[c, h, w]", _AS_PICTURES)
    if last:
        return [array]
    if first and channels == 1 and shape[0] == 3:
        how = "write photo[None] for one photo in colour, or photos[:, None] for three in grey"
        raise _ambiguous(name, shape, "[c, h, w]", "[n, h, w]", how)
    if first:
        return [np.moveaxis(array, 0, 2)]
    # Two or four channels are grey or colour with transparency; no photo is so narrow.
    alpha = shape[2] in _WITH_ALPHA or (channels != 1 and shape[0] == 4)
    return [] if alpha else list(array)


def _ambiguous(name: str, shape: tuple[int, ...], one: str, other: str, how: str) -> InputError:
    return InputError(f"{name} in bytes have shape {list(shape)}, which could be {one} or {other}: {how}")
