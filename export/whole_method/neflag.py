"""NeFLAG (Li et al., IJCAI 2023) as a loop in a file; `fluxpath.runtime.NeFLAG` says what it computes.

An image's samples follow one another, and images do not wait for each other: every turn of the loop
evaluates one point of each image, of whatever sample it has come to.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.whole_method.base import (
    LARGEST,
    NOISE,
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
from fluxpath.export.whole_method.philox import normals
from fluxpath.export.whole_method.reach import REACH, reach_at, reach_in
from fluxpath.manifest import Manifest
from fluxpath.methods import NeFLAGSettings, width_of
from fluxpath.status import Status

SAMPLE, STEP, WORST = "sample", "step", "worst"
"""The sample an image has come to, the steps it took in it, and the severest end of a sample so far."""
UNIT, WIDTH, COLUMN = "unit", "width", "column"
"""The directions [n * width, ...], width (1, or the batch) and which of them belongs to each image."""


class NeFLAG(NeFLAGSettings):
    """Settings of NeFLAG, with the names, defaults and meaning of the runtime's.

    The file has the further input `noise`, float32 [n, 1 or batch, ...]: standard normals, whose lengths do
    not matter. It is optional: without it they are those that the runtime makes from `seed`. (Where the
    model leaves sizes of its input open, the file cannot hold them, and `noise` must be given.)
    """

    @property
    def name(self) -> str:
        """The method's name on the command line."""
        return "neflag"

    @property
    def turns(self) -> int:
        """One at the image, then every point of every sample."""
        return 1 + self.n * (self.max_steps + 1)

    def settings(self) -> dict[str, Any]:
        """Every setting by name."""
        return asdict(self)

    def trial(self, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float32]]:
        """Signs: their length is the same to the last bit in any order of summation."""
        rng = np.random.default_rng(self.seed)
        return {NOISE: np.sign(rng.random((self.n, 1, *shape)) - 0.5).astype(np.float32)}

    def start(self, outside: Outside) -> Start:
        """Directions from the noise."""
        op, shape = outside.op, outside.manifest.shape
        sizes = tuple(d for d in shape if d is not None)
        default = None
        if len(sizes) == len(shape):
            default = normals(self.seed, self.n, math.prod(sizes)).reshape(self.n, 1, *sizes)
        noise = outside.optional_input(NOISE, default, [self.n, "noise_batch", *shape])
        features = op("Shape", outside.image.value, start=1, dtype=ir.DataType.INT64)
        flat = op("Reshape", noise.value, op("Concat", op.ints([-1]), features, axis=0))
        rows = Expr(op, flat, noise.rank - 1)
        norm = rows.norm()
        usable = ((norm > 0) & (norm <= LARGEST)).to(ir.DataType.FLOAT)
        by_sample = op("Reshape", usable.value, op.ints([self.n, -1]))
        valid = Expr(op, op("ReduceMin", by_sample, op.ints([0]), keepdims=0), 1) > 0.5
        width = Expr(op, op("Shape", noise.value, start=1, end=2, dtype=ir.DataType.INT64), 1)
        ones = outside.rows(1, ir.DataType.INT64).value
        numbers = op("CumSum", ones, op.ints(0), exclusive=1)
        reach = {REACH: outside.rows(0, ir.DataType.FLOAT)} if self.relative else {}
        return Start(
            state={
                **reach,
                SAMPLE: outside.rows(-1, ir.DataType.INT64),
                STEP: outside.rows(0, ir.DataType.INT32),
                WORST: outside.rows(0, ir.DataType.INT32),
            },
            shared={UNIT: rows / norm, WIDTH: width, COLUMN: Expr(op, numbers, 1).least(width - 1)},
            valid=valid,
        )

    def advance(self, tick: Tick) -> State:
        """A sign step of the sample; or its flux, and on to the next sample."""
        state, x, step, running = tick.state, tick.state[POINT], tick.state[STEP], tick.state[STATUS]
        at_image = tick.alive & tick.number.equals(0)
        in_sample = tick.alive & (tick.number > 0)
        if self.stop == "flux":
            stop = ((tick.unit * (x - tick.image)).total() < 0, Status.NEGATIVE_FLUX)
        else:
            stop = (~tick.label.equals(tick.target), Status.BOUNDARY)
        end = first_of(
            [
                (~tick.finite, Status.NON_FINITE),
                (tick.zero, Status.ZERO_GRADIENT),
                (step.equals(0), Status.RUNNING),
                stop,
                (step >= self.max_steps, Status.MAX_STEPS),
            ],
            otherwise=running,
        )
        going = in_sample & end.equals(Status.RUNNING)
        ended = in_sample & (end > Status.RUNNING)
        turning = ended | at_image
        flux = where(ended & tick.finite, tick.derivative * (tick.image - x), 0.0)
        worst = where(ended, end.most(state[WORST]), state[WORST])
        sample = state[SAMPLE] + turning.to(ir.DataType.INT64)
        reach = reach_in(tick, signs=True) if self.relative else None
        onward = self._at(tick, -tick.gradient.sign(), reach)
        taken = going.to(ir.DataType.INT32)
        return {
            **({} if reach is None else {REACH: reach}),
            POINT: where(turning, self._begin(tick, sample, reach), where(going, onward, x)),
            SUM: state[SUM] + flux,
            STEPS: state[STEPS] + taken,
            STATUS: where(tick.alive & (sample >= self.n), worst, running),
            SAMPLE: sample,
            STEP: where(turning, 0, step + taken),
            WORST: worst,
        }

    def _begin(self, tick: Tick, sample: Expr, reach: Expr | None) -> Expr:
        """A point of the sphere."""
        place = sample.least(self.n - 1) * tick.shared[WIDTH] + tick.shared[COLUMN]
        return self._at(tick, tick.shared[UNIT].row(place), reach)

    def _at(self, tick: Tick, direction: Expr, reach: Expr | None) -> Expr:
        radius: Expr | float = self.radius_length(width_of(tick.low, tick.high))
        radius = radius if reach is None else radius * reach
        return (tick.image + radius * direction).clamp(tick.low, tick.high)

    def finish(self, outside: Outside, start: Start, state: State) -> Expr:
        """The sum of the samples."""
        return state[SUM]

    def walk(self, evaluate: Evaluate, image: Float64, target: int, manifest: Manifest) -> Walk:
        """Algorithm 1, its points in float32: at a kink of the model, the last bit sends a sign elsewhere."""
        values, steps, worst = np.zeros_like(image), 0, Status.RUNNING
        radius = np.float32(self.radius_length(width_of(manifest.low, manifest.high)))
        if self.relative:
            _, g, scale, score = evaluate(image)
            radius *= np.float32(reach_at(manifest.objective, g, scale, score, signs=True))
        for signs in self.trial(image.shape)[NOISE][:, 0]:
            direction, step = signs / np.sqrt(np.float32(image.size)), 0
            while True:
                x = image.astype(np.float32) + radius * direction
                x = np.clip(x, manifest.low, manifest.high).astype(np.float64)
                label, g, scale, _ = evaluate(x)
                negative, changed = float(np.sum(g * (x - image))) < 0, label != target
                if not (np.isfinite(g).all() and np.isfinite(scale)):
                    status = Status.NON_FINITE
                elif not g.any():
                    status = Status.ZERO_GRADIENT
                elif step > 0 and self.stop == "flux" and negative:
                    status = Status.NEGATIVE_FLUX
                elif step > 0 and self.stop == "label" and changed:
                    status = Status.BOUNDARY
                elif step == self.max_steps:
                    status = Status.MAX_STEPS
                else:
                    direction, step = -np.sign(g).astype(np.float32), step + 1
                    continue
                break
            values, steps, worst = values + scale * g * (image - x), steps + step, max(worst, status)
        return Walk(np.zeros_like(image) if worst == Status.NON_FINITE else values, steps, worst)
