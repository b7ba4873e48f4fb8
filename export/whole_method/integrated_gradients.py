"""Integrated gradients (Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.arrays import need_within
from fluxpath.errors import InputError
from fluxpath.export.whole_method.base import (
    BASELINE,
    LARGEST,
    POINT,
    STATUS,
    STEPS,
    SUM,
    Evaluate,
    Float64,
    Outside,
    Start,
    State,
    Tick,
    Walk,
)
from fluxpath.export.whole_method.expression import Expr, first_of, where
from fluxpath.manifest import Manifest
from fluxpath.methods import IntegratedGradientsSettings
from fluxpath.status import Status

DISTANCES, WEIGHTS = "distances", "weights"


class IntegratedGradients(IntegratedGradientsSettings):
    """Settings of integrated gradients: (x - b) * the mean gradient on the straight line from b to x.

    steps: how many equal pieces the line is cut into, 1 or more. rule: where the gradient of a piece is
    taken: "left" (towards the baseline), "right", "middle", or the mean of both ends, "trapezoid", which
    takes one evaluation more in all. baseline: b, a number for all elements or an array of the input's
    shape without the batch.

    The file has the further optional input `baseline`, which broadcasts to the images. Its `steps` output
    counts the gradients that went into the sum, and its status is COMPLETE.
    """

    RULES = ("left", "right", "middle", "trapezoid")

    @property
    def name(self) -> str:
        """The method's name on the command line."""
        return "integrated-gradients"

    @property
    def turns(self) -> int:
        """One at the image, used or not, and the points that remain."""
        return len(self._points())

    def settings(self) -> dict[str, Any]:
        """Every setting by name; a baseline array is called "array", because the file itself holds it."""
        number = self.baseline if isinstance(self.baseline, float) else "array"
        return {"steps": self.steps, "rule": self.rule, "baseline": number}

    def _points(self) -> list[tuple[float, float]]:
        """Distance from the image (0 to 1: the baseline) and weight of each point, the image first."""
        pieces, n = np.arange(self.steps), self.steps
        ends = {"left": [1.0], "right": [0.0], "middle": [0.5], "trapezoid": [0.0, 1.0]}[self.rule]
        weights = dict.fromkeys([0.0], 0.0)
        for end in ends:
            for piece in pieces:
                distance = (float(piece) + end) / n
                weights[distance] = weights.get(distance, 0.0) + 1 / (n * len(ends))
        return sorted(weights.items())

    def trial(self, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float32]]:
        """The baseline has a default, so nothing more is needed."""
        return {}

    def start(self, outside: Outside) -> Start:
        """The points' places and weights."""
        shape, baseline = outside.manifest.shape, np.asarray(self.baseline, np.float32)
        if baseline.ndim == 0:
            baseline = baseline.reshape((1,) * outside.image.rank)
        elif baseline.shape == tuple(shape):
            baseline = baseline[None]
        else:
            raise InputError(
                f"baseline has shape {list(baseline.shape)}, it must be a number or {list(shape)}"
            )
        need_within("baseline", baseline, outside.manifest.low, outside.manifest.high)
        value = outside.optional_input(BASELINE, baseline, [None] * outside.image.rank)
        distances, weights = np.array([*self._points(), (0.0, 0.0)]).T
        return Start(
            shared={
                BASELINE: value,
                DISTANCES: outside.table(distances, np.float32),
                WEIGHTS: outside.table(weights, np.float32),
            },
            valid=(value.abs() <= LARGEST).everywhere(),
        )

    def advance(self, tick: Tick) -> State:
        """One point's gradient."""
        state, shared, image = tick.state, tick.shared, tick.image
        weight, distance = shared[WEIGHTS].row(tick.number), shared[DISTANCES].row(tick.number + 1)
        code = first_of(
            [
                ((weight > 0) & ~tick.finite, Status.NON_FINITE),
                (tick.number >= self.turns - 1, Status.COMPLETE),
            ],
            otherwise=state[STATUS],
        )
        counted = (tick.alive & (weight > 0)).to(ir.DataType.INT32)
        return {
            POINT: image + distance * (shared[BASELINE] - image),
            SUM: state[SUM] + where(tick.alive & tick.finite, weight * tick.derivative, 0.0),
            STEPS: state[STEPS] + counted,
            STATUS: where(tick.alive, code, state[STATUS]),
        }

    def finish(self, outside: Outside, start: Start, state: State) -> Expr:
        """The displacement times the mean gradient."""
        return (outside.image - start.shared[BASELINE]) * state[SUM]

    def walk(self, evaluate: Evaluate, image: Float64, target: int, manifest: Manifest) -> Walk:
        """The sum, from the baseline on."""
        line = image - np.asarray(self.baseline, np.float64)
        places = {
            "left": np.arange(self.steps),
            "right": np.arange(self.steps) + 1,
            "middle": np.arange(self.steps) + 0.5,
            "trapezoid": np.arange(self.steps + 1),
        }[self.rule]
        weights = np.full(len(places), 1 / self.steps)
        if self.rule == "trapezoid":
            weights[[0, -1]] /= 2
        answers = [evaluate(image + (t / self.steps - 1) * line) for t in places]
        gradients = [scale * g for _, g, scale, _ in answers]
        if not np.isfinite(gradients).all():
            first = next(i for i, g in enumerate(gradients[::-1]) if not np.isfinite(g).all())
            return Walk(np.zeros_like(image), first + 1, Status.NON_FINITE)
        mean = sum((w * g for w, g in zip(weights, gradients, strict=True)), np.zeros_like(image))
        return Walk(line * mean, len(places), Status.COMPLETE)
