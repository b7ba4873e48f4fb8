"""AGI: gradients of the explained class, added up along targeted attacks on other classes.

Pan, Li, Zhu: "Explaining Deep Neural Network Models with Adversarial Gradient Integration", IJCAI 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath.errors import FluxpathError
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods._settings import one_of, positive, whole
from fluxpath.runtime.status import Status


@dataclass(frozen=True)
class AGI:
    """Settings of AGI. From x_0, the image, for each of `classes` false classes i, t the explained class:

        d_j = clamp(x_j + step_size * sign(grad f_i(x_j))) - x_j,   x_{j+1} = x_j + d_j
        attribution -= grad f_t(x_j) * d_j,   until i is predicted

    classes: how many false classes, 1 or more; where the model has fewer, all of them.
    choice: "top", those with the largest output at the image (needs the model's own output in the gradient
        graph, unless there are two classes), or "random", the same ones for every image, after `seed`. The
        paper draws them at random.
    step_size: change of each element in a step, in units of the input. max_steps: the most steps of a walk.

    A walk that starts where i is predicted already, the explained class being another, is empty. A step
    costs two gradients, the arrival one more: 2 * steps + 1 evaluations a false class; a false class that
    the model does not have costs one. Raises InputError for other settings.
    """

    classes: int = 20
    choice: Literal["top", "random"] = "top"
    step_size: float = 0.05
    max_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        whole("classes", self.classes, 1)
        one_of("choice", self.choice, ("top", "random"))
        positive("step_size", self.step_size)
        whole("max_steps", self.max_steps, 1)
        whole("seed", self.seed, 0, 2**64 - 1)

    @property
    def lanes(self) -> int:
        """One lane a false class."""
        return self.classes

    @property
    def starts_at_image(self) -> bool:
        """x_0 is the image."""
        return True

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """The lane is at x_0 already."""

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Half a step: the explained class's gradient is kept, or with the false one's the lane moves."""
        for slot in slots:
            if not _finite(lanes, slot):
                lanes.sum[slot] = 0.0
                lanes.status[slot] = Status.NON_FINITE
            elif lanes.target[slot] == lanes.first_target[slot]:
                self._arrive(lanes, slot)
            else:
                self._move(lanes, slot)

    def _arrive(self, lanes: Lanes, slot: np.int32) -> None:
        """With the explained class's gradient: end, or ask for the false class's at the same point."""
        if lanes.kept[slot] is None:
            lanes.kept[slot] = self._false_class(lanes, slot)
        false = lanes.kept[slot]
        if false < 0 or lanes.label[slot] == false:
            lanes.status[slot] = Status.BOUNDARY
        elif lanes.step[slot] == self.max_steps:
            lanes.status[slot] = Status.MAX_STEPS
        else:
            lanes.pending[slot] = lanes.scale[slot] * lanes.gradient[slot]
            lanes.target[slot] = false

    def _move(self, lanes: Lanes, slot: np.int32) -> None:
        """With the false class's gradient: one step, whose sign does not need the scale."""
        if not lanes.gradient[slot].any():
            lanes.status[slot] = Status.ZERO_GRADIENT
            return
        point = lanes.point[slot]
        moved = point + np.float32(self.step_size) * np.sign(lanes.gradient[slot])
        moved = np.clip(moved, np.float32(lanes.low), np.float32(lanes.high))
        lanes.sum[slot] -= lanes.pending[slot] * (moved - point)
        lanes.point[slot] = moved
        lanes.step[slot] += 1
        lanes.target[slot] = lanes.first_target[slot]

    def _false_class(self, lanes: Lanes, slot: np.int32) -> int:
        """The lane's false class, at its first evaluation; -1 where there are not as many."""
        explained, number = int(lanes.first_target[slot]), int(lanes.number[slot])
        count = lanes.classes
        if self.choice == "random" or count == 2:
            order = _shuffled(count, self.seed)
        elif lanes.output is not None:
            order = np.argsort(-lanes.output[slot], kind="stable")
        else:
            raise FluxpathError(
                'AGI with choice="top" needs the model\'s own output, which this gradient graph does not '
                'give: use choice="random"'
            )
        false = order[order != explained]
        return int(false[number]) if number < len(false) else -1


@lru_cache(maxsize=16)
def _shuffled(count: int, seed: int) -> npt.NDArray[np.int64]:
    """The classes in the order of `seed`."""
    return np.random.Generator(np.random.Philox(key=seed)).permutation(count)


def _finite(lanes: Lanes, slot: np.int32) -> bool:
    given = lanes.scale[slot] * lanes.gradient[slot]
    return bool(np.isfinite(given).all() and np.isfinite(lanes.score[slot]))
