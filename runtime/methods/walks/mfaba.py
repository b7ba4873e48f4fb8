"""MFABA: attribution along a gradient walk to the decision boundary.

Zhu, Chen, Zhang, Wang, Jin, Xue, Zhu, Choo: "MFABA: A More Faithful and Accelerated Boundary-based
Attribution Method for Deep Neural Networks", AAAI 2024.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from fluxpath import kernels
from fluxpath.methods import MFABASettings, kind_of
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.status import Status


class MFABA(MFABASettings, Method):
    """Settings of MFABA. A walk down the objective f from x_0, the image, until the class changes:

        x_{j+1} = clamp(x_j - step_size * direction(g_j)),   g_j = grad f(x_j)

    ascent: "sharp", direction g/||g||_2, or "smooth", direction sign(g) (Eq. 12).
    rule: "trapezoid", -sum_j (x_{j+1} - x_j) (g_j + g_{j+1})/2 (Eq. 11), or "left", the first-order sum
        -sum_j (x_{j+1} - x_j) g_j (the paper's "Vanilla" and the published code).
    path: "taylor", the walk itself (Eq. 11); "norm" and "cosine" map its points onto the straight line from
        x_0 to the end x_n, (x_0 - x_n) * sum_j (t_{j+1} - t_j) (g_j + g_{j+1})/2, with t_j the share of the
        walk's length up to x_j (Eq. 16; the published code takes ||x_j - x_0|| instead) or the projection
        of x_j - x_0 on x_n - x_0 in units of its length (Eq. 17). With "cosine" a lane keeps all its points
        and gradients until the end is known: 8 bytes per input element and step.
    max_steps: the most steps of a walk, 1 or more.
    step_size: "auto", a quarter of the distance that the boundary would have from the image if the network
        were linear, d / ||grad d||_2 for sharp and d / ||grad d||_1 for smooth, with d the log-odds of the
        explained class (for the objectives "logit" and "margin" the score itself; at least 1/2). From the
        fifth step on each is longer than the one before by a quarter of the first. It follows from the
        evaluation at the image, and gives 3 to 10 steps on most networks and sizes, in any unit of the input.
        Or a number: the L2 length of a step (sharp) or the change of each element (smooth), in units of the
        model's range (high - low; of the input if the model has no range). None is 0.1 for sharp and 0.001
        for smooth, as in the published code, whose settings `MFABA.published()` has.
    accumulate: True takes the sum of all gradients so far, g_0 + ... + g_j, wherever g_j stands above. The
        published code does so with one image at a time, since it never clears the image's gradient (with
        several, until the next of them ends). It is neither the paper's method nor a share of the score's
        change, and is here to compare with that code's results; written in numpy, so slow on a GPU.

    A walk takes at least one step. The smooth walk stays within 0.3 of the image in each element, in units of
    the range; both stay in the input's valid range. Raises InputError for invalid settings; "auto" is also
    one on a file exported with --plain, which does not tell d.
    """

    @property
    def shortest(self) -> int:
        """Two: the image and one step. One where every step is seen on the host."""
        return 1 if self.accumulate or self.path == "cosine" else 2

    @property
    def reach(self) -> Literal["whole", "signs"] | None:
        """With the step size "auto", by the norm that belongs to the ascent."""
        if not self.relative:
            return None
        return "whole" if self.ascent == "sharp" else "signs"

    @property
    def usual(self) -> float | None:
        """With the step size "auto": 17, which few images of CIFAR-10 and ImageNet exceed."""
        return min(self.max_steps, 16) + 1.0 if self.relative else None

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take one step of each walk, or end it."""
        own = lanes.scale[slots].copy() if self.accumulate else None
        if self.accumulate:
            _add_up(lanes, slots)
        if self.path == "cosine":
            _keep(lanes, slots)
        lanes.kernel.advance_mfaba(
            slots, _settings(self, lanes.low, lanes.high, lanes.width, lanes.objective)
        )
        if own is not None:
            lanes.scale[slots] = own
        if self.path == "cosine":
            for slot in slots[lanes.status[slots] != Status.RUNNING]:
                _map_onto_chord(lanes, int(slot), self.rule)


@lru_cache(maxsize=256)
def _settings(method: MFABA, low: float, high: float, width: float, objective: str) -> kernels.Mfaba:
    sharp = method.ascent == "sharp"
    return kernels.Mfaba(
        sharp=sharp,
        trapezoid=method.rule == "trapezoid",
        norm_path=method.path == "norm",
        max_steps=method.max_steps,
        step_size=method.step_length(width),
        radius=np.inf if sharp else method.SMOOTH_RADIUS * width,
        low=low,
        high=high,
        relative=method.relative,
        steady=method.STEADY,
        growth=method.GROWTH,
        objective=kind_of(objective),
    )


class _Kept:
    """What a lane keeps beside its arrays."""

    def __init__(self) -> None:
        self.points: list[npt.NDArray[np.float32]] = []
        self.gradients: list[npt.NDArray[np.float32]] = []
        self.scale, self.total = 0.0, np.float64(0.0)  # of the gradients so far: their scales, and their sum


def _kept(lanes: Lanes, slot: int) -> _Kept:
    if lanes.kept[slot] is None:
        lanes.kept[slot] = _Kept()
    kept: _Kept = lanes.kept[slot]
    return kept


def _add_up(lanes: Lanes, slots: Slots) -> None:
    """Put the sum of a lane's derivatives so far in the place of the last one.

    As the sum of the scales times a mean of the gradients, which float32 holds if it holds the gradients.
    """
    for slot in slots:
        kept, gradient = _kept(lanes, slot), lanes.gradient[slot].astype(np.float64)
        scale = float(lanes.scale[slot])
        kept.scale += scale
        with np.errstate(invalid="ignore", over="ignore"):  # the kernel ends a walk that is not finite
            kept.total = kept.total + scale * gradient
            lanes.gradient[slot] = kept.total / kept.scale if kept.scale else gradient
            lanes.scale[slot] = kept.scale


def _keep(lanes: Lanes, slots: Slots) -> None:
    """Record each lane's point and derivative before it moves on."""
    for slot in slots:
        kept = _kept(lanes, slot)
        kept.points.append(lanes.point[slot].copy())
        kept.gradients.append(lanes.scale[slot] * lanes.gradient[slot])


def _map_onto_chord(lanes: Lanes, slot: int, rule: str) -> None:
    """Eq. 17: weight the gradients by the projections of the steps onto the chord x_n - x_0."""
    kept = _kept(lanes, slot)
    points, gradients = np.stack(kept.points), np.stack(kept.gradients)
    lanes.kept[slot] = None
    chord = (points[-1] - points[0]).astype(np.float64)
    squared = float(chord @ chord)
    if squared == 0.0 or lanes.status[slot] == Status.NON_FINITE:
        lanes.sum[slot] = 0.0
        return
    weights = np.diff(points, axis=0) @ chord / squared
    ends = gradients[:-1] if rule == "left" else (gradients[:-1] + gradients[1:]) / 2
    lanes.sum[slot] = -chord * (weights @ ends)
