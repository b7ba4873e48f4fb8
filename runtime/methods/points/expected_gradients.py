"""Expected Gradients: Integrated Gradients with a background distribution instead of a single baseline.

Erion, Janizek, Sturmfels, Lundberg, Lee: "Improving performance of deep learning models with axiomatic
attribution priors and expected gradients", Nature Machine Intelligence, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import FixedArray, several
from fluxpath.checks import plain, whole
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import TIMES_DIFFERENCE, Numbers, uniforms


@dataclass(frozen=True)
class ExpectedGradients(Method):
    """Settings of Expected Gradients: the mean over n samples of

        (x - b) * grad f(b + a (x - b)),   b uniform from the background, a uniform in (0, 1)

    background: the b, [m, *shape] with the input's shape, in units of the input and within its valid range.
    n: the number of samples, 1 or more.
    seed: of the counter-based generator (Philox); b and a depend only on the seed and the sample, so every
        image gets the same ones, in any batch.

    Takes n gradients, and one at the image for label and score. In units of the objective; the sum of an
    attribution estimates f(x) minus the mean of f over the background. Raises InputError for invalid
    settings, and at a request if the background's shape or range does not fit the input.
    """

    background: npt.ArrayLike | FixedArray
    n: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        plain(self)
        object.__setattr__(self, "background", several("background", self.background))
        whole("n", self.n, 1, 1_000_000)
        whole("seed", self.seed, 0, 2**64 - 1)

    @property
    def lanes(self) -> int:
        """One lane per sample."""
        return self.n

    @property
    def starts_at_image(self) -> bool:
        """False: a sample starts between the image and a reference."""
        return False

    @property
    def anchors(self) -> Mapping[str, float | FixedArray]:
        """The background."""
        assert isinstance(self.background, FixedArray)
        return {"background": self.background}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless the background has the input's shape."""
        assert isinstance(self.background, FixedArray)
        self.background.check("background", shape, self.background.array.shape[:1])

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put each sample on the line from its reference."""
        assert isinstance(self.background, FixedArray)
        references = self.background.rows()
        chosen, shares = _draws(self.seed, self.n, len(references))
        lanes.pending[slots] = references[chosen[numbers]]
        lanes.kernel.start_straight(slots, shares[numbers])

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Add each sample's share of the mean."""
        weights = np.full(len(slots), 1.0 / self.n, np.float32)
        lanes.kernel.advance_weighted(slots, weights, TIMES_DIFFERENCE)


@lru_cache(maxsize=16)
def _draws(seed: int, n: int, references: int) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Per sample, int64 [n] and float32 [n]: the reference, and the share of the way from it to the image."""
    random = uniforms(seed, n)
    return (random[:, 0] * references).astype(np.int64), random[:, 1].astype(np.float32)
