"""Guided Integrated Gradients: a path from the baseline that moves the least sensitive elements first.

Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi: "Guided Integrated Gradients: An Adaptive Path
Method for Removing Noise", CVPR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import FixedArray
from fluxpath.checks import number, plain, whole
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.walks.derivative import finite_derivative
from fluxpath.status import Status

Row = npt.NDArray[np.float32]

_REACHED = 1e-9
"""Relative difference up to which two distances count as equal, because their sums are rounded."""


@dataclass(frozen=True)
class GuidedIG(Method):
    """Settings of Guided IG. From x_0, the baseline x', to the image x in n = `steps` steps:

        ||x - x_k||_1 = (1 - k/n) ||x - x'||_1;   attribution = sum_k (x_{k+1} - x_k) g_k,   g_k = grad f(x_k)

    Within a step only the elements of S move, each by the same share of its remaining way:

        y_i = infinite where element i has arrived, |g_i| elsewhere;   S = {i: y_i <= the p-th quantile of y}

    If all of S arrives before the step's distance is covered, the next S follows with the same gradient. The
    quantile is over all elements, including those that have arrived, as in the published code.

    steps: n, 1 or more. fraction: p, 1e-6 to 1; with 1 the path is the straight line.
    baseline: x', the same number for every element, in units of the input.
    max_dist: the largest distance of an element from the straight line, 0 to 1, as a share of its whole way:
        in step k every element lies between the shares k/n - max_dist and k/n + max_dist, and one that lags
        behind catches up first. 1 sets no limit, 0 gives the straight line.

    Path, sum and defaults follow the authors' code, PAIR's `saliency`.
    Takes n evaluations, and one at the image for label and score. In units of the objective. A walk on
    which every gradient is zero ends with ZERO_GRADIENT. Raises InputError for invalid settings.
    """

    steps: int = 200
    fraction: float = 0.25
    baseline: float = 0.0
    max_dist: float = 0.02

    def __post_init__(self) -> None:
        plain(self)
        whole("steps", self.steps, 1)
        number("fraction", self.fraction, 1e-6, 1.0)
        number("baseline", self.baseline, -1e30, 1e30)
        number("max_dist", self.max_dist, 0.0, 1.0)

    @property
    def starts_at_image(self) -> bool:
        """False: the walk starts at the baseline."""
        return False

    @property
    def anchors(self) -> Mapping[str, float | FixedArray]:
        """The baseline."""
        return {"baseline": self.baseline}

    @property
    def end_lane(self) -> int | None:
        """The only lane, whose end score is the one at the baseline."""
        return 0

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put the lanes at the baseline."""
        lanes.point[slots] = self.baseline

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take one step of each walk."""
        slots, derivative = finite_derivative(lanes, slots)
        lanes.length[slots] += lanes.gradient[slots].any(axis=1)  # counts the gradients that are not zero
        lanes.step[slots] += 1
        sizes, steps = np.abs(lanes.gradient[slots]), lanes.step[slots]
        before, points, images = lanes.point[slots], lanes.point[slots], lanes.image[slots]
        for point, image, size, step in zip(points, images, sizes, steps, strict=True):
            self._move(point, image, size, int(step))
        lanes.point[slots] = points
        lanes.sum[slots] += (points - before) * derivative
        done = slots[steps == self.steps]
        moved = lanes.length[done] > 0
        lanes.status[done] = np.where(moved, Status.COMPLETE, Status.ZERO_GRADIENT)
        lanes.score[done] = lanes.first_score[done]

    def _move(self, point: Row, image: Row, size: Row, step: int) -> None:
        """Move `point` in place until its distance to the image is the one required after `step` steps."""
        share = step / self.steps
        wanted = (1 - share) * _distance(image, np.full_like(image, self.baseline))
        ends = self._at(min(share + self.max_dist, 1.0), image)
        self._catch_up(point, image, share - self.max_dist)
        y = size.copy()  # only the order of the sizes matters, so the scale can be left out
        while (left := _distance(image, point) - wanted) > _REACHED * wanted:
            y[point == ends] = np.inf
            chosen = (y <= _quantile(y, self.fraction)) & (y < np.inf)
            way = _distance(ends[chosen], point[chosen])
            if not chosen.any():
                return
            if left >= way:
                point[chosen] = ends[chosen]
            else:
                point[chosen] += np.float32(left / way) * (ends[chosen] - point[chosen])
                return

    def _at(self, share: float, image: Row) -> Row:
        """The point of the straight line at `share` of the way; at 1 or above exactly the image."""
        if share >= 1.0:
            return image
        return (self.baseline + share * (image.astype(np.float64) - self.baseline)).astype(np.float32)

    def _catch_up(self, point: Row, image: Row, share: float) -> None:
        """Move the elements that have covered less than `share` of their way up to that share."""
        if share > 0.0:
            least = self._at(share, image)
            behind = np.abs(image - point) > np.abs(image - least)
            point[behind] = least[behind]


def _distance(a: Row, b: Row) -> float:
    return float(np.abs(a.astype(np.float64) - b).sum())


def _quantile(values: Row, fraction: float) -> np.float32:
    """The quantile's lower neighbour: the sorted value at index floor(fraction * (n - 1))."""
    place = int(fraction * (len(values) - 1))
    return np.float32(np.partition(values, place)[place])
