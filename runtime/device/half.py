"""float16 and bfloat16 as raw 16-bit numbers, since numpy has no bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RAW = np.dtype(np.uint16)
"""The dtype in which half-precision numbers are stored."""

ONNX_TYPES = {"float32": 1, "float16": 10, "bfloat16": 16}
"""ONNX's codes of element types, with which ONNX Runtime binds memory of types that numpy lacks."""


def widened(raw: npt.NDArray[np.uint16], name: str) -> npt.NDArray[np.float32]:
    """Convert bits of `name`, "float16" or "bfloat16", to float32 numbers of the same shape."""
    if name == "float16":
        return raw.view(np.float16).astype(np.float32)
    return (raw.astype(np.uint32) << 16).view(np.float32)


def narrowed(values: npt.ArrayLike, name: str) -> npt.NDArray[np.uint16]:
    """Round float32 numbers to `name` and return the bits; ties go to even, too large becomes infinite."""
    wide: npt.NDArray[Any] = np.asarray(values, np.float32)
    if name == "float16":
        with np.errstate(over="ignore"):
            return wide.astype(np.float16).view(RAW)
    bits = wide.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Rounding could overflow a NaN's bits into those of zero.
    return np.where(np.isnan(wide), 0x7FC0, rounded).astype(RAW)
