"""BIG: integrated gradients from a point of the decision boundary.

Wang, Fredrikson, Datta: "Robust Models Are More Interpretable Because Attributions Look Normal", ICML 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods._settings import positive, whole
from fluxpath.runtime.methods.base import FromImage
from fluxpath.runtime.status import Status


@dataclass
class _Walk:
    """What a lane knows besides its point."""

    phase: Literal["attack", "bisect", "integrate"] = "attack"
    done: int = 0
    """Steps, bisections or points of this phase so far."""
    inside: bool = True
    """Whether the explained class is the predicted one at the image."""
    low: float = 0.0
    high: float = 1.0
    """Shares of the way from the image to `far` between which the class changes."""
    far: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """The end of the attack; in the last phase the boundary point."""


@dataclass(frozen=True)
class BIG(FromImage):
    """Settings of BIG. An attack from x_0, the image x, looks for the boundary of the explained class:

        x_{j+1} = clamp(x_j - step_size * sign(grad f(x_j)))   until another class is predicted

    Bisection then takes the boundary point x' on the straight line from x to where the attack ended, the
    end on the other side of the boundary; and with n = `integration_steps`, by the midpoint rule,

        attribution = (x - x') * 1/n sum_{k<n} grad f(x' + (k + 1/2)/n (x - x'))

    step_size: change of each element in a step of the attack, in units of the input. max_steps: the most
        steps of the attack, 1 or more.
    bisections: how often the line is halved; 0 takes the end of the attack itself.
    integration_steps: n, 1 or more.

    The paper takes the nearest of what several attacks found; this is one of them, the iterated sign step
    without a bound. Where it finds no other class in `max_steps` there is no boundary point: the attribution
    is zero, with the status MAX_STEPS. Where the image itself is not predicted as the explained class, the
    attack is one step and there is no bisection. The reported steps count attack, bisections and
    integration: there is one evaluation more. Raises InputError for other settings.
    """

    max_steps: int = 50
    step_size: float = 0.01
    bisections: int = 8
    integration_steps: int = 50

    def __post_init__(self) -> None:
        whole("max_steps", self.max_steps, 1)
        positive("step_size", self.step_size)
        whole("bisections", self.bisections, 0, 30)
        whole("integration_steps", self.integration_steps, 1)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """The lane is at the image already."""
        for slot in slots:
            lanes.kept[slot] = _Walk()

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """One step of whichever phase each lane is in."""
        phases = {"attack": self._attack, "bisect": self._bisect, "integrate": self._integrate}
        for slot in slots:
            derivative = lanes.scale[slot] * lanes.gradient[slot]
            if np.isfinite(derivative).all() and np.isfinite(lanes.score[slot]):
                phases[lanes.kept[slot].phase](lanes, slot, lanes.kept[slot])
            else:
                lanes.sum[slot] = 0.0
                lanes.status[slot] = Status.NON_FINITE
            if lanes.status[slot] == Status.RUNNING:
                lanes.step[slot] += 1

    def _attack(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        crossed = lanes.label[slot] != lanes.target[slot]
        if walk.done == 0:
            walk.inside = not crossed
        elif crossed:
            walk.far = lanes.point[slot].astype(np.float64)
            walk.phase, walk.done = "bisect", 0
            self._halve(lanes, slot, walk)
            return
        if walk.done == self.max_steps:
            lanes.status[slot] = Status.MAX_STEPS
        elif not lanes.gradient[slot].any():
            lanes.status[slot] = Status.ZERO_GRADIENT
        else:
            moved = lanes.point[slot] - np.float32(self.step_size) * np.sign(lanes.gradient[slot])
            lanes.point[slot] = np.clip(moved, np.float32(lanes.low), np.float32(lanes.high))
            walk.done += 1

    def _bisect(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        middle = (walk.low + walk.high) / 2
        if lanes.label[slot] != lanes.target[slot]:
            walk.high = middle
        else:
            walk.low = middle
        walk.done += 1
        self._halve(lanes, slot, walk)

    def _halve(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        """To the middle of what is left; or to the integral, if that is small enough."""
        image = lanes.image[slot].astype(np.float64)
        if walk.inside and walk.done < self.bisections:
            lanes.point[slot] = image + (walk.low + walk.high) / 2 * (walk.far - image)
            return
        walk.far = image + walk.high * (walk.far - image)
        walk.phase, walk.done = "integrate", 0
        self._place(lanes, slot, walk)

    def _integrate(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        way = (lanes.image[slot] - walk.far) / self.integration_steps
        lanes.sum[slot] += way * (lanes.scale[slot] * lanes.gradient[slot])
        walk.done += 1
        if walk.done == self.integration_steps:
            lanes.status[slot] = Status.BOUNDARY
        else:
            self._place(lanes, slot, walk)

    def _place(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        """To the next midpoint on the straight line from the boundary point to the image."""
        share = (walk.done + 0.5) / self.integration_steps
        lanes.point[slot] = walk.far + share * (lanes.image[slot] - walk.far)
