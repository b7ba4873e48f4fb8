"""What the loop knows of a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.whole_method.expression import Expr
from fluxpath.manifest import Manifest

Float64 = npt.NDArray[np.float64]
State = dict[str, Expr]
"""What the loop carries from one evaluation to the next, one row per image, by name."""

POINT, SUM, STEPS, STATUS = "point", "sum", "steps", "status"
"""The state that every method has."""

NOISE, BASELINE = "noise", "baseline"
"""Further inputs of a file that some methods have."""

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Outside:
    """The graph around the loop, where a method can add inputs and prepare what the loop reads."""

    op: Builder
    image: Expr
    manifest: Manifest

    def rows(self, number: float, dtype: ir.DataType) -> Expr:
        """`number` for every image, [batch]."""
        batch = self.op("Shape", self.image.value, start=0, end=1, dtype=ir.DataType.INT64)
        start = self.op.constant(number, dtype.numpy())
        return Expr(self.op, self.op("Expand", start, batch), 1)

    def zeros(self) -> Expr:
        """Zeros in the image's shape."""
        shape = self.op("Shape", self.image.value, dtype=ir.DataType.INT64)
        return Expr(self.op, self.op.zeros(shape, self.image.value), self.image.rank)

    def table(self, numbers: npt.ArrayLike, dtype: npt.DTypeLike) -> Expr:
        """A constant, to take rows of."""
        data = np.asarray(numbers, dtype)
        return Expr(self.op, self.op.constant(data), data.ndim)

    def optional_input(
        self, name: str, default: npt.NDArray[np.float32] | None, shape: list[int | str | None]
    ) -> Expr:
        """A further input of the file; without a default, one that must be given."""
        value = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
        self.op.graph.inputs.append(value)
        if default is not None:
            value.const_value = ir.tensor(default, name=name)
            self.op.graph.register_initializer(value)
        return Expr(self.op, value, len(shape))


@dataclass(frozen=True)
class Start:
    """How a method begins.

    state: its own state beside POINT (the image), SUM, STEPS and STATUS (zeros). shared: what the loop reads
    and does not change. valid: bool [batch] or [1], whether the method's further inputs make sense.
    """

    state: State = field(default_factory=dict)
    shared: State = field(default_factory=dict)
    valid: Expr | None = None


@dataclass(frozen=True)
class Tick:
    """One evaluation of the gradient graph at state[POINT], as a method sees it.

    number: int64, how many went before; the first is at the image. alive: bool [batch], the images that have
    not ended. score, scale: [batch], the objective's. derivative: scale * gradient. unit: the gradient
    divided by its largest element, `largest` (by 1 where that is zero), so that no square over- or
    underflows; zero, finite: bool [batch], what is to be said of the derivative.
    """

    number: Expr
    image: Expr
    target: Expr
    label: Expr
    score: Expr
    scale: Expr
    gradient: Expr
    derivative: Expr
    unit: Expr
    largest: Expr
    zero: Expr
    finite: Expr
    alive: Expr
    state: Mapping[str, Expr]
    shared: Mapping[str, Expr]
    low: float | None
    high: float | None
    objective: str


@dataclass(frozen=True)
class Walk:
    """What a method gives for one image."""

    values: Float64
    steps: int
    status: int


Evaluate = Callable[[Float64], tuple[int, Float64, float, float]]
"""A point to the predicted class there, and the gradient, scale and score of the objective for the target."""


class WholeMethod(Protocol):
    """Frozen settings that can write one turn of their loop, and that can walk slowly in numpy instead."""

    @property
    def name(self) -> str:
        """The method's name on the command line."""
        ...

    @property
    def turns(self) -> int:
        """The most evaluations that an image needs."""
        ...

    def settings(self) -> dict[str, Any]:
        """What the manifest says of the settings: numbers, strings, None."""
        ...

    def trial(self, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float32]]:
        """Further inputs to verify a file with, for images of this shape."""
        ...

    def start(self, outside: Outside) -> Start:
        """Write what comes before the loop."""
        ...

    def advance(self, tick: Tick) -> State:
        """Write the state after an evaluation; images that are not alive keep SUM, STEPS and STATUS."""
        ...

    def finish(self, outside: Outside, start: Start, state: State) -> Expr:
        """Write the attribution from the last state."""
        ...

    def walk(self, evaluate: Evaluate, image: Float64, target: int, manifest: Manifest) -> Walk:
        """The method with its trial inputs, as plain as in its paper, for verification."""
        ...
