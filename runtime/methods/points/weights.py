"""Shared by the methods of independent points: the kinds of weighted gradients, and random numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath import kernels

Numbers = npt.NDArray[np.float32]

GRADIENT = kernels.Weighted(multiplier=0, power=0)
ABSOLUTE = kernels.Weighted(multiplier=0, power=1)
SQUARED = kernels.Weighted(multiplier=0, power=2)
TIMES_IMAGE = kernels.Weighted(multiplier=1, power=0)
TIMES_DIFFERENCE = kernels.Weighted(multiplier=2, power=0)
"""The derivative times (image - reference); the reference is the lane's `pending`."""


def uniforms(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Uniform random numbers in (0, 1), float64 [count, 4] (Philox); row k depends only on seed and k."""
    words = np.empty((count, 4), np.uint32)
    kernels.lane_words(seed, words)
    return (words.astype(np.float64) + 0.5) / 2.0**32
