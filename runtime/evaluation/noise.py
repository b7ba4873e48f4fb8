"""A random attribution: what a method must be better than."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from fluxpath.checks import plain, whole
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods import Method
from fluxpath.status import Status

RANDOM = "random"
"""Its name among methods."""


@dataclass(frozen=True)
class Random(Method):
    """Independent normal noise in each element, the same for the same image and seed; one gradient.

    seed: with the image's own bytes it determines the noise, so that images do not share one map.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        plain(self)
        whole("seed", self.seed, 0, 2**64 - 1)

    @property
    def end_lane(self) -> int | None:
        """None: without a path there is no end score."""
        return None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take noise as the attribution."""
        known = np.isfinite(lanes.score[slots])
        images = np.asarray(lanes.image[slots])
        noise = [
            np.random.default_rng([self.seed, zlib.crc32(image.tobytes())]).standard_normal(
                len(image), np.float32
            )
            for image in images
        ]
        lanes.sum[slots] = np.stack(noise)
        lanes.status[slots] = np.where(known, Status.COMPLETE, Status.NON_FINITE)
