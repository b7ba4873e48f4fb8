"""AGI: gradients of the explained class, added up along targeted attacks on other classes.

Pan, Li, Zhu: "Explaining Deep Neural Network Models with Adversarial Gradient Integration", IJCAI 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import one_of, plain, positive, whole
from fluxpath.errors import FluxpathError
from fluxpath.methods import length
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.walks.derivative import finite_derivative
from fluxpath.status import Status


@dataclass(frozen=True)
class AGI(Method):
    """Settings of AGI. From x_0, the image, for each of `classes` false classes i, t the explained class:

        d_j = clamp(x_j + step_size * sign(grad f_i(x_j))) - x_j,   x_{j+1} = x_j + d_j
        attribution -= grad f_t(x_j) * d_j,   until i is predicted

    Each step starts at the current point, as on the paper's path of steepest ascent; in the published code
    every step starts at the image again, so that its points stay within one step of it.

    classes: the number of false classes, 1 or more; if the model has fewer, all of them.
    choice: "random", drawn with `seed`, the same for every image, as in the paper; or "top", the classes
        with the largest output at the image (needs the model's own output in the gradient graph, unless
        there are two classes).
    step_size: change of each element in a step, in units of the model's range (high - low; of the input if
        the model has no range). max_steps: the most steps of a walk; 0.05 and 20 are the paper's (50 steps
        in the published code).

    If i is already the predicted class at the image (and t is not), the walk is empty. A step costs two
    gradients, the arrival one more: 2 * steps + 1 evaluations per false class. A model with one class has no
    false class, and the attribution is zero. In units of the objective; the published code uses the softmax.
    Raises InputError for invalid settings.
    """

    classes: int = 20
    choice: Literal["random", "top"] = "random"
    step_size: float = 0.05
    max_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        plain(self)
        whole("classes", self.classes, 1)
        one_of("choice", self.choice, ("random", "top"))
        positive("step_size", self.step_size)
        whole("max_steps", self.max_steps, 1)
        whole("seed", self.seed, 0, 2**64 - 1)

    @property
    def lanes(self) -> int:
        """One lane per false class."""
        return self.classes

    def fitted(self, classes: int) -> Method:
        """These settings, with at most as many false classes as a model with `classes` classes has."""
        return replace(self, classes=min(self.classes, max(classes - 1, 1)))

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take half a step: store the explained class's gradient and score, or move by the false class's."""
        slots, derivative = finite_derivative(lanes, slots)
        arrived = lanes.target[slots] == lanes.first_target[slots]
        self._arrive(lanes, slots[arrived], derivative[arrived])
        self._move(lanes, slots[~arrived])

    def _arrive(self, lanes: Lanes, slots: Slots, derivative: npt.NDArray[np.float32]) -> None:
        """Given the explained class's gradient: end, or request the false class's at the same point."""
        for slot in slots:
            if lanes.kept[slot] is None:
                lanes.kept[slot] = self._false_class(lanes, slot)
        false = np.array([lanes.kept[slot] for slot in slots], np.int64)
        ends = [(false < 0) | (lanes.label[slots] == false), lanes.step[slots] == self.max_steps]
        lanes.status[slots] = np.select(ends, [Status.BOUNDARY, Status.MAX_STEPS], Status.RUNNING)
        on = ~(ends[0] | ends[1])
        lanes.pending[slots[on]] = derivative[on]
        lanes.length[slots[on]] = lanes.score[slots[on]]
        lanes.target[slots[on]] = false[on]

    def _move(self, lanes: Lanes, slots: Slots) -> None:
        """Given the false class's gradient: take one step by its sign, which does not need the scale."""
        sign = np.sign(lanes.gradient[slots])
        on = sign.any(axis=1)
        lanes.status[slots[~on]] = Status.ZERO_GRADIENT
        lanes.score[slots[~on]] = lanes.length[slots[~on]]
        slots, point = slots[on], lanes.point[slots[on]]
        moved = point + np.float32(length("step_size", self.step_size, lanes.width)) * sign[on]
        moved = np.clip(moved, np.float32(lanes.low), np.float32(lanes.high))
        lanes.sum[slots] -= lanes.pending[slots] * (moved - point)
        lanes.point[slots] = moved
        lanes.step[slots] += 1
        lanes.target[slots] = lanes.first_target[slots]

    def _false_class(self, lanes: Lanes, slot: np.int32) -> int:
        """The lane's false class, chosen at its first evaluation; -1 if the model has too few classes."""
        explained, number = int(lanes.first_target[slot]), int(lanes.number[slot])
        count = lanes.classes
        if self.choice == "random" or count <= 2:
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
    """The classes 0 .. count-1 in a random order given by `seed`."""
    return np.random.Generator(np.random.Philox(key=seed)).permutation(count)
