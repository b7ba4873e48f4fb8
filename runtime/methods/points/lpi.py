"""LPI: gradients integrated along paths from references near the image.

Yang, Akhtar, Wen, Mian: "Local Path Integration for Attribution", AAAI 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import FixedArray, several
from fluxpath.checks import one_of, plain, whole
from fluxpath.errors import InputError
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import TIMES_DIFFERENCE, Numbers, uniforms


@dataclass(frozen=True)
class LPI(Method):
    """Settings of Local Path Integration. With references r_j of density p_j, sum_j p_j = 1:

        sum_j p_j (x - r_j) * 1/steps sum_k grad f(r_j + a_jk (x - r_j))

    references: the r_j, [m, *shape] with the input's shape, in units of the input. The paper takes them from
        the image's local distribution: it clusters a training set by the model's outputs and uses the
        cluster that contains the image. Its code splits that cluster into 20 and takes the images nearest
        to the centres. The caller chooses them; images of different clusters need separate requests.
    densities: p_j, m numbers above zero (in the paper's code, the number of images in each of the 20),
        divided by their sum here so that the attribution is complete; the published code divides by m once
        more. None: all equal.
    steps: the number of gradients on each path, 1 or more; 1 in the paper's experiments. (With more, the
        published code multiplies some of them by the path of a different reference.)
    rule: where they are taken: "random", uniform on the path, or "middle", in the middle of each of `steps`
        equal pieces.
    seed: of the counter-based generator (Philox); a_jk depends only on the seed and j * steps + k.

    Takes m * steps gradients, and one at the image for label and score. In units of the objective; the
    published code uses the logit. Raises InputError for invalid settings, and at a request if the
    references' shape does not fit the input.
    """

    references: npt.ArrayLike | FixedArray
    densities: npt.ArrayLike | FixedArray | None = None
    steps: int = 1
    rule: Literal["random", "middle"] = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        plain(self)
        references = several("references", self.references)
        object.__setattr__(self, "references", references)
        whole("steps", self.steps, 1, 1_000_000)
        one_of("rule", self.rule, ("random", "middle"))
        whole("seed", self.seed, 0, 2**64 - 1)
        if self.densities is not None:
            densities = FixedArray("densities", self.densities)
            count = len(references.array)
            if densities.array.shape != (count,) or not (densities.array > 0).all():
                raise InputError(
                    f"densities of shape {list(densities.array.shape)} must be {count} numbers above zero, "
                    "one per reference"
                )
            object.__setattr__(self, "densities", densities)

    @property
    def lanes(self) -> int:
        """One lane per point of each path, path by path."""
        assert isinstance(self.references, FixedArray)
        return len(self.references.array) * self.steps

    @property
    def starts_at_image(self) -> bool:
        """False: a lane starts between the image and a reference."""
        return False

    @property
    def anchors(self) -> Mapping[str, float | FixedArray]:
        """The references."""
        assert isinstance(self.references, FixedArray)
        return {"references": self.references}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless the references have the input's shape."""
        assert isinstance(self.references, FixedArray)
        self.references.check("references", shape, self.references.array.shape[:1])

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put each lane at its point on the path from its reference."""
        assert isinstance(self.references, FixedArray)
        lanes.pending[slots] = self.references.rows()[numbers // self.steps]
        shares = _shares(self.lanes, self.steps, self.seed if self.rule == "random" else None)
        lanes.kernel.start_straight(slots, shares[numbers])

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Add each point's share of its path's integral, weighted by the reference's density."""
        assert isinstance(self.references, FixedArray)
        weights = _weights(
            self.densities,  # type: ignore[arg-type]
            len(self.references.array),
            self.steps,
        )
        weights = weights[lanes.number[slots] // self.steps]
        lanes.kernel.advance_weighted(slots, weights, TIMES_DIFFERENCE)


@lru_cache(maxsize=16)
def _shares(lanes: int, steps: int, seed: int | None) -> Numbers:
    """Each lane's share of the way from the reference to the image, float32 [lanes]."""
    shares = (np.arange(lanes) % steps + 0.5) / steps if seed is None else uniforms(seed, lanes)[:, 0]
    return shares.astype(np.float32)


@lru_cache(maxsize=16)
def _weights(densities: FixedArray | None, references: int, steps: int) -> Numbers:
    """The weight of a gradient on each path, float32 [references]."""
    given = np.ones(references) if densities is None else densities.array.astype(np.float64)
    weights: Numbers = (given / given.sum() / steps).astype(np.float32)
    return weights
