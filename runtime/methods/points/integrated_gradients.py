"""Integrated Gradients: the mean gradient on the straight line from a baseline to the image.

Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from fluxpath.arrays import FixedArray
from fluxpath.methods import IntegratedGradientsSettings
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import TIMES_DIFFERENCE, Numbers


class IntegratedGradients(IntegratedGradientsSettings, Method):
    """Settings of Integrated Gradients (Eq. 1, summed as in Eq. 3):

        (x - b) * sum_k w_k grad f(b + a_k (x - b)),   sum_k w_k = 1

    steps: the number of equal pieces of the line, 1 or more; with "gauss-legendre" the number of nodes, at
        most 1000.
    rule: where the gradient of a piece is taken: "left" (the end at b), "right" (the paper's sum), "middle",
        or "trapezoid", the mean of both ends; or "gauss-legendre" quadrature on the whole line. This takes
        `steps` gradients, steps + 1 with "trapezoid", and one more at the image for label and score if the
        image is not among the points ("left", "middle", "gauss-legendre").
    baseline: b, a number for all elements or an array of the input's shape without the batch, in units of
        the input and within its valid range; no bytes, which are a photo's levels: see `Explainer.prepare`.

    In units of the objective. `steps` of the result counts the gradients in the sum. If b is among the
    points ("trapezoid", "left"), the result has an end score, at b, and so an error rate. Raises InputError
    for invalid settings, and at a request if the baseline's shape or range does not fit the input.
    """

    @property
    def lanes(self) -> int:
        """One lane per point, numbered from the baseline to the image."""
        return self.steps + (self.rule == "trapezoid")

    @property
    def starts_at_image(self) -> bool:
        """False: at most one lane starts at the image, see `image_lane`."""
        return False

    @property
    def image_lane(self) -> int | None:
        """The last lane with the rules that include the image, else None."""
        return self.lanes - 1 if self.rule in ("trapezoid", "right") else None

    @property
    def end_lane(self) -> int | None:
        """The first lane with the rules that include the baseline, else None."""
        return 0 if self.rule in ("trapezoid", "left") else None

    @property
    def anchors(self) -> Mapping[str, float | FixedArray]:
        """The baseline."""
        assert isinstance(self.baseline, float | FixedArray)
        return {"baseline": self.baseline}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless a baseline array has the input's shape."""
        if isinstance(self.baseline, FixedArray):
            self.baseline.check("baseline", shape)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put each lane at its point on the line."""
        baseline = self.baseline
        if isinstance(baseline, FixedArray):
            lanes.pending[slots] = baseline.array.reshape(-1)
        elif baseline != 0:  # `pending` of a new lane is zero already
            lanes.pending[slots] = baseline
        lanes.kernel.start_straight(slots, _points(self.steps, self.rule)[0][numbers])

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Add each point's share of the integral."""
        weights = _points(self.steps, self.rule)[1]
        lanes.kernel.advance_weighted(slots, weights[lanes.number[slots]], TIMES_DIFFERENCE)


@lru_cache(maxsize=64)
def _points(steps: int, rule: str) -> tuple[Numbers, Numbers]:
    """Per point: the share a_k of the way from baseline to image, and the weight w_k."""
    if rule == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return ((1 + nodes) / 2).astype(np.float32), (weights / 2).astype(np.float32)
    pieces = np.arange(steps + (rule == "trapezoid"))
    shift = {"trapezoid": 0.0, "left": 0.0, "middle": 0.5, "right": 1.0}[rule]
    weights = np.full(len(pieces), 1 / steps)
    if rule == "trapezoid":
        weights[[0, -1]] /= 2
    return ((pieces + shift) / steps).astype(np.float32), weights.astype(np.float32)
