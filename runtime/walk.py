"""One walk of a method as it went: every point at which the model was evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import whole
from fluxpath.runtime.lanes import Collector, Lanes, Slots
from fluxpath.runtime.methods import Method
from fluxpath.status import Status


@dataclass(frozen=True, repr=False)
class Walk:
    """The k points of one lane's walk, in order, and what the model gave there.

    points: float32 [k, *shape]. scores: float32 [k], the objective at the class that the walk asked for, the
    explained one unless the method changes it on its way. labels: int64 [k], the predicted classes.
    """

    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        if not len(self):
            return "Walk of 0 points"
        return f"Walk of {len(self)} points, score {self.scores[0]:.4g} to {self.scores[-1]:.4g}"

    def __len__(self) -> int:
        return len(self.scores)


class Recorded(Method):
    """A method that does what `method` does and notes each point of its lane number `lane`.

    For one image: it holds one walk. Every attribute that is not here is the method's own.
    """

    def __init__(self, method: Method, lane: int = 0) -> None:
        whole("lane", lane, 0, method.lanes - 1)
        self._method, self._lane = method, lane
        self._points: list[tuple[npt.NDArray[np.float32], float, int]] = []

    rules = property(lambda self: self._method.rules)
    lanes = property(lambda self: self._method.lanes)
    starts_at_image = property(lambda self: self._method.starts_at_image)
    image_lane = property(lambda self: self._method.image_lane)
    end_lane = property(lambda self: self._method.end_lane)
    reach = property(lambda self: self._method.reach)

    def collector(self, features: int) -> Collector:
        """The method's own."""
        return self._method.collector(features)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Begin anew, because a lane whose attribution was too small for float32 runs once more."""
        if self._lane in numbers:
            self._points.clear()
        self._method.start(lanes, slots, numbers)

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Note the point before the lane moves on."""
        for slot in slots.tolist():
            if lanes.number[slot] == self._lane and lanes.status[slot] == Status.RUNNING:
                point = np.array(lanes.point[slot])
                self._points.append((point, float(lanes.score[slot]), int(lanes.label[slot])))
        self._method.advance(lanes, slots)

    def take(self, other: Recorded) -> None:
        """What the same method noted in another process."""
        self._points = other._points

    def walk(self, shape: tuple[int, ...]) -> Walk:
        """What was noted."""
        columns: list[Any] = list(zip(*self._points, strict=True)) or [(), (), ()]
        return Walk(
            np.array(columns[0], np.float32).reshape(-1, *shape),
            np.array(columns[1], np.float32),
            np.array(columns[2], np.int64),
        )
