"""Saliency: the gradient at the image.

Simonyan, Vedaldi, Zisserman: "Deep Inside Convolutional Networks: Visualising Image Classification Models
and Saliency Maps", ICLR 2014 workshop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxpath.checks import plain
from fluxpath.errors import InputError
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import ABSOLUTE, GRADIENT


@dataclass(frozen=True)
class Saliency(Method):
    """Settings of Saliency: |grad f(x)|, element by element (Section 3; the paper then takes the maximum
    over the colour channels, which is left to the caller).

    absolute: False keeps the sign.

    One gradient; in units of the objective per unit of the input. Raises InputError for invalid settings.
    """

    absolute: bool = True

    def __post_init__(self) -> None:
        plain(self)
        if not isinstance(self.absolute, bool):
            raise InputError(f"absolute is {self.absolute!r}, it must be True or False")

    @property
    def end_lane(self) -> int | None:
        """None: without a path there is no end score."""
        return None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take the gradient, or its absolute value, as the attribution."""
        ones = np.ones(len(slots), np.float32)
        lanes.kernel.advance_weighted(slots, ones, ABSOLUTE if self.absolute else GRADIENT)
