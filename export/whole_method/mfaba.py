"""MFABA (Zhu et al., AAAI 2024) as a loop in a file; `fluxpath.runtime.MFABA` says what it computes."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.errors import InputError
from fluxpath.export.whole_method.base import (
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
from fluxpath.export.whole_method.reach import REACH, reach_at, reach_in
from fluxpath.manifest import Manifest
from fluxpath.methods import MFABASettings, width_of
from fluxpath.status import Status

PENDING, LENGTH = "pending", "length"
"""The last displacement (path="norm": its length), and the length of the path so far."""


class MFABA(MFABASettings):
    """Settings of MFABA, with the names, defaults and meaning of the runtime's.

    path="cosine" is not among them, since it needs every point of the walk once more at the end, nor is
    accumulate=True, which is there to compare with the published code and not to be deployed.
    """

    PATHS = ("taylor", "norm")

    def __post_init__(self) -> None:
        if self.path == "cosine":
            raise InputError(
                "path is 'cosine', which only the runtime can: here it must be 'taylor' or 'norm'"
            )
        super().__post_init__()
        if self.accumulate:
            raise InputError("accumulate is True, which only the runtime can: here it must be False")

    @property
    def name(self) -> str:
        """The method's name on the command line."""
        return f"mfaba-{self.ascent}"

    @property
    def turns(self) -> int:
        """One evaluation per point."""
        return self.max_steps + 1

    def settings(self) -> dict[str, Any]:
        """Every setting by name."""
        return asdict(self)

    def trial(self, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float32]]:
        """MFABA has no further inputs."""
        return {}

    def start(self, outside: Outside) -> Start:
        """No displacement is pending yet."""
        none = outside.rows(0, ir.DataType.FLOAT)
        state = {PENDING: outside.zeros()} if self.path == "taylor" else {PENDING: none, LENGTH: none}
        return Start({**state, REACH: none} if self.relative else state)

    def advance(self, tick: Tick) -> State:
        """The gradient g_j meets the displacement that led here and the one that leads away."""
        state, steps = tick.state, tick.state[STEPS]
        code = first_of(
            [
                (~tick.finite, Status.NON_FINITE),
                ((steps > 0) & ~tick.label.equals(tick.target), Status.BOUNDARY),
                (steps >= self.max_steps, Status.MAX_STEPS),
                (tick.zero, Status.ZERO_GRADIENT),
            ],
            otherwise=state[STATUS],
        )
        status = where(tick.alive, code, state[STATUS])
        moving = status.equals(Status.RUNNING)
        reach = reach_in(tick, signs=self.ascent == "smooth") if self.relative else None
        d = where(moving, self._displacement(tick, reach), 0.0)
        g = where(tick.alive & tick.finite, tick.derivative, 0.0)
        after = d if self.path == "taylor" else d.norm()
        weight = 0.5 * (state[PENDING] + after) if self.rule == "trapezoid" else after
        result = {
            POINT: (state[POINT] + d).clamp(tick.low, tick.high),
            SUM: state[SUM] - g * weight,
            STEPS: steps + moving.to(ir.DataType.INT32),
            STATUS: status,
            PENDING: after,
        }
        if self.path != "taylor":
            result[LENGTH] = state[LENGTH] + after
        return result if reach is None else {**result, REACH: reach}

    def _displacement(self, tick: Tick, reach: Expr | None) -> Expr:
        """Clamped itself, not the point it leads to, which would round a small step away."""
        x, image = tick.state[POINT], tick.image
        width = width_of(tick.low, tick.high)
        size: Expr | float = self.step_length(width)
        radius = self.SMOOTH_RADIUS * width
        if reach is not None:
            late = (tick.state[STEPS] - (self.STEADY - 1)).most(0).to(ir.DataType.FLOAT)
            size = (size * reach * (1.0 + self.GROWTH * late)).least(LARGEST)
        low: Expr | float | None = tick.low
        high: Expr | float | None = tick.high
        if self.ascent == "sharp":
            wanted = -size / tick.unit.squares().sqrt() * tick.unit
        else:
            wanted = -size * tick.gradient.sign()
            low, high = (
                (image - radius).clamp(low, None),
                (image + radius).clamp(None, high),
            )
        return wanted.clamp(None if low is None else low - x, None if high is None else high - x)

    def finish(self, outside: Outside, start: Start, state: State) -> Expr:
        """The norm path maps the walk onto the straight line to its end (Eq. 16)."""
        if self.path == "taylor":
            return state[SUM]
        length = where(state[LENGTH] > 0, state[LENGTH], 1.0)
        return state[SUM] * ((state[POINT] - outside.image) / length)

    def walk(self, evaluate: Evaluate, image: Float64, target: int, manifest: Manifest) -> Walk:
        """Eq. 11 and 12, or 16, with all points and gradients kept."""
        width = width_of(manifest.low, manifest.high)
        size, sharp = self.step_length(width), self.ascent == "sharp"
        radius = np.inf if sharp else self.SMOOTH_RADIUS * width
        points, gradients = [image], []
        while True:
            label, g, scale, score = evaluate(points[-1])
            gradients.append(scale * g)
            steps = len(points) - 1
            if self.relative and not steps:
                size *= reach_at(manifest.objective, g, scale, score, signs=not sharp)
            if not np.isfinite(gradients[-1]).all():
                return Walk(np.zeros_like(image), steps, Status.NON_FINITE)
            if steps > 0 and label != target:
                status = Status.BOUNDARY
            elif steps == self.max_steps:
                status = Status.MAX_STEPS
            elif not g.any():
                status = Status.ZERO_GRADIENT
            else:
                direction = g / np.linalg.norm(g) if sharp else np.sign(g)
                grown = 1 + self.GROWTH * max(0, steps - self.STEADY + 1) if self.relative else 1.0
                x = np.clip(points[-1] - size * grown * direction, image - radius, image + radius)
                points.append(np.clip(x, manifest.low, manifest.high))
                continue
            return Walk(self._integral(points, gradients), steps, status)

    def _integral(self, points: list[Float64], gradients: list[Float64]) -> Float64:
        steps = [b - a for a, b in itertools.pairwise(points)]
        if self.path == "norm":
            lengths = [float(np.linalg.norm(d)) for d in steps]
            steps = [(points[-1] - points[0]) * (length / (sum(lengths) or 1.0)) for length in lengths]
        means = [a if self.rule == "left" else (a + b) / 2 for a, b in itertools.pairwise(gradients)]
        return -sum((d * g for d, g in zip(steps, means, strict=True)), np.zeros_like(points[0]))
