"""BIG: integrated gradients from the nearest point on the decision boundary that an attack finds.

Wang, Fredrikson, Datta: "Robust Models Are More Interpretable Because Attributions Look Normal", ICML 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import plain, positive, whole
from fluxpath.errors import InputError
from fluxpath.methods import length
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.walks.derivative import finite_derivative
from fluxpath.status import Status

Row = npt.NDArray[np.float64]


@dataclass
class _Walk:
    """A lane's state besides its point; `pending` holds the gradient at the image, where attacks start."""

    phase: Literal["attack", "bisect", "integrate"] = "attack"
    radius: int = 0
    """The index of the radius that the attack is using."""
    done: int = 0
    """Number of attack steps at this radius, of bisections, or of points of the integral so far."""
    inside: bool = True
    """Whether the explained class is predicted at the image."""
    low: float = 0.0
    high: float = 1.0
    """The class changes between the shares `low` and `high` of the way from the image to `far`."""
    far: Row = field(default_factory=lambda: np.zeros(0))
    """The adversarial point, or the boundary point in the last phase."""
    end: float = np.nan
    """The objective at the point whose share is `high`."""


@dataclass(frozen=True)
class BIG(Method):
    """Settings of BIG: Integrated Gradients from x', the adversarial point nearest to the image x.

    Projected gradient descent in L2 searches balls of growing radius r, each time starting at x_0 = x:

        x_{j+1} = clamp(project(x_j - 2 r / max_steps * g_j / ||g_j||)),   g_j = grad f(x_j)

    until another class is predicted; `project` moves points further than r from x straight back to that
    distance. The first ball with such a point ends the search. Bisection of the straight line from x to that
    point finds a nearer one, x'. Then, with n = `integration_steps`, by the midpoint rule,

        attribution = (x - x') * 1/n sum_{k<n} grad f(x' + (k + 1/2)/n (x - x'))

    radii: the r, one or more numbers above zero, L2 distances in units of the model's range (high - low; of
        the input if the model has no range); they are tried in ascending order. The defaults are the
        published code's, which uses them on normalised images.
    max_steps: the steps of the attack in each ball, 1 or more.
    bisections: the number of bisections, 0 to 30; 0 uses the end of the attack itself.
    integration_steps: n, 1 or more; 10 in the published code.

    As in the published code, the baseline is the nearest point found; that code also searches beyond the
    balls, with a Carlini-Wagner attack, and does not bisect. Its attacks start at a random point of the
    ball; here they start at the image, so that results are reproducible. Its step is 2 r^2 / max_steps,
    because the attack's library multiplies the step by r again, so it moves at most 2 r^2 from its start.
    Neither search is guaranteed to find the nearest point.

    There are at most 1 + len(radii) * max_steps + bisections + integration_steps evaluations; the reported
    steps count all except the first, at the image. If no ball contains another class, the attribution is
    zero, with the status MAX_STEPS (the published code uses the end of the first attack). If the image
    itself is not predicted as the explained class, the attack in the first ball takes all its steps and
    there is no bisection. The end score is the objective at x', NaN if there is none.

    In units of the objective; the published code uses the logit. Raises InputError for invalid settings.
    """

    radii: Sequence[float] | npt.ArrayLike = (36 / 255, 64 / 255, 0.3, 0.5, 0.7, 0.9, 1.1)
    max_steps: int = 40
    bisections: int = 8
    integration_steps: int = 50

    def __post_init__(self) -> None:
        plain(self)
        object.__setattr__(self, "radii", _ascending(self.radii))
        whole("max_steps", self.max_steps, 1)
        whole("bisections", self.bisections, 0, 30)
        whole("integration_steps", self.integration_steps, 1)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Begin the walks, which stay at the image."""
        for slot in slots:
            lanes.kept[slot] = _Walk()

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take one step of each lane's current phase."""
        phases = {"attack": self._attack, "bisect": self._bisect, "integrate": self._integrate}
        for slot, derivative in zip(*finite_derivative(lanes, slots), strict=True):
            phases[lanes.kept[slot].phase](lanes, slot, lanes.kept[slot], derivative)
            if lanes.status[slot] == Status.RUNNING:
                lanes.step[slot] += 1

    def _attack(self, lanes: Lanes, slot: np.int32, walk: _Walk, _: npt.NDArray[np.float32]) -> None:
        assert isinstance(self.radii, tuple)
        gradient = lanes.gradient[slot]
        crossed = lanes.label[slot] != lanes.target[slot]
        if lanes.step[slot] == 0:
            walk.inside = not crossed
            lanes.pending[slot] = gradient
            if not gradient.any():
                lanes.status[slot] = Status.ZERO_GRADIENT
                return
        elif crossed and (walk.inside or walk.done == self.max_steps):
            walk.far, walk.end = lanes.point[slot].astype(np.float64), float(lanes.score[slot])
            walk.phase, walk.done = "bisect", 0
            self._halve(lanes, slot, walk)
            return
        elif walk.done == self.max_steps or not gradient.any():
            walk.radius, walk.done = walk.radius + 1, 0
            if walk.radius == len(self.radii):
                lanes.status[slot], lanes.score[slot] = Status.MAX_STEPS, walk.end
                return
            lanes.point[slot], gradient = lanes.image[slot], lanes.pending[slot]
        radius = length("a radius", self.radii[walk.radius], lanes.width)
        lanes.point[slot] = self._moved(lanes, slot, gradient, radius)
        walk.done += 1

    def _moved(self, lanes: Lanes, slot: np.int32, gradient: npt.NDArray[np.float32], radius: float) -> Row:
        """The point after a step downhill that stays in the ball and in the input's range."""
        image, downhill = lanes.image[slot].astype(np.float64), -gradient.astype(np.float64)
        step = 2 * radius / self.max_steps * downhill / np.linalg.norm(downhill)
        away: Row = lanes.point[slot] + step - image
        away *= radius / max(radius, float(np.linalg.norm(away)))
        moved: Row = np.clip(image + away, lanes.low, lanes.high)
        return moved

    def _bisect(self, lanes: Lanes, slot: np.int32, walk: _Walk, _: npt.NDArray[np.float32]) -> None:
        middle = (walk.low + walk.high) / 2
        if lanes.label[slot] != lanes.target[slot]:
            walk.high, walk.end = middle, float(lanes.score[slot])
        else:
            walk.low = middle
        walk.done += 1
        self._halve(lanes, slot, walk)

    def _halve(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        """Move to the middle of the remaining interval, or to the integral after the last bisection."""
        image = lanes.image[slot].astype(np.float64)
        if walk.inside and walk.done < self.bisections:
            lanes.point[slot] = image + (walk.low + walk.high) / 2 * (walk.far - image)
            return
        walk.far = image + walk.high * (walk.far - image)
        walk.phase, walk.done = "integrate", 0
        self._place(lanes, slot, walk)

    def _integrate(
        self, lanes: Lanes, slot: np.int32, walk: _Walk, derivative: npt.NDArray[np.float32]
    ) -> None:
        lanes.sum[slot] += (lanes.image[slot] - walk.far) / self.integration_steps * derivative
        walk.done += 1
        if walk.done == self.integration_steps:
            lanes.status[slot], lanes.score[slot] = Status.BOUNDARY, walk.end
        else:
            self._place(lanes, slot, walk)

    def _place(self, lanes: Lanes, slot: np.int32, walk: _Walk) -> None:
        """Move to the next midpoint on the straight line from the boundary point to the image."""
        share = (walk.done + 0.5) / self.integration_steps
        lanes.point[slot] = walk.far + share * (lanes.image[slot] - walk.far)


def _ascending(radii: object) -> tuple[float, ...]:
    try:
        given = np.atleast_1d(np.asarray(radii, np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"radii are {radii!r}, they must be numbers above zero, one or more") from error
    if given.ndim != 1 or not given.size:
        raise InputError(f"radii have shape {list(given.shape)}, they must be numbers, one or more")
    for radius in given.tolist():
        positive("a radius", radius)
    return tuple(sorted(given.tolist()))
