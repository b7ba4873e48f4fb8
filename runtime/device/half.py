"""float16 and bfloat16 as two bytes each, where numpy or the host has no arithmetic for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RAW = np.dtype(np.uint16)
"""What an array of halves is stored as."""

ONNX_TYPES = {"float32": 1, "float16": 10, "bfloat16": 16}
"""ONNX's numbers of element types, by which ONNX Runtime binds memory that numpy has no name for."""


def widened(raw: npt.NDArray[np.uint16], name: str) -> npt.NDArray[np.float32]:
    """The numbers behind the bits, float32 of the same shape; `name` is "float16" or "bfloat16"."""
    if name == "float16":
        return raw.view(np.float16).astype(np.float32)
    return (raw.astype(np.uint32) << 16).view(np.float32)


def narrowed(values: npt.ArrayLike, name: str) -> npt.NDArray[np.uint16]:
    """The bits of float32 numbers rounded to the nearest, halfway to the even one; too large is infinite."""
    wide: npt.NDArray[Any] = np.asarray(values, np.float32)
    if name == "float16":
        with np.errstate(over="ignore"):
            return wide.astype(np.float16).view(RAW)
    bits = wide.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Rounding would carry a NaN over to zero.
    return np.where(np.isnan(wide), 0x7FC0, rounded).astype(RAW)
