"""Inputs at which a gradient graph is verified: random ones, or the caller's images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath.companions import OPEN_SIZE
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest

POINTS = 4
"""How many random ones."""

NOISE = np.float32(1e-3)
"""What is mixed into given images: less than a step of 8-bit pixels, far more than float32's rounding."""


def random_inputs(manifest: Manifest, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random inputs within the valid range; a size that the model leaves open is 32."""
    shape = (POINTS, *(OPEN_SIZE if d is None else d for d in manifest.shape))
    if manifest.low is None or manifest.high is None:
        return rng.standard_normal(shape).astype(np.float32)
    # Half noise over the whole range, half a faint texture on grey: unlike places of the network's space.
    spread = np.where(np.arange(POINTS) < POINTS // 2, 1.0, 0.2).reshape(-1, *[1] * len(manifest.shape))
    unit = 0.5 + spread * (rng.random(shape) - 0.5)
    return (manifest.low + unit * (manifest.high - manifest.low)).astype(np.float32)


def given_inputs(
    images: npt.NDArray[np.float32], manifest: Manifest, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """The caller's images, with noise from within the valid range, in which they stay.

    Raises InputError where they do not fit the model.
    """
    _check(images, manifest)
    if manifest.low is None or manifest.high is None:
        return images + NOISE * rng.standard_normal(images.shape, np.float32)
    width = np.float32(manifest.high - manifest.low)
    noise = np.float32(manifest.low) + width * rng.random(images.shape, np.float32)
    return images + NOISE * (noise - images)


def _check(images: npt.NDArray[np.float32], manifest: Manifest) -> None:
    wanted = [None, *manifest.shape]
    fits = images.ndim == len(wanted) and all(
        d in (None, n) for d, n in zip(wanted, images.shape, strict=True)
    )
    if not fits or len(images) == 0 or images.dtype != np.float32 or not np.isfinite(images).all():
        raise InputError(
            f"the images are {images.dtype} {list(images.shape)}, and must be finite float32 "
            f"[n, {', '.join('?' if d is None else str(d) for d in manifest.shape)}]"
        )
