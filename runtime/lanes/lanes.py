"""The engine's arrays: one row a slot, shared with the gradient graph and the kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import kernels
from fluxpath.runtime.lanes.gathering import Collector, Gathering, InOrder

Slots = npt.NDArray[np.int32]
"""Numbers of slots, int32 [k]."""


class Lanes:
    """The state of every lane, in arrays of `slots` rows that are allocated once.

    A method reads `image`, `gradient` (multiplied by `scale` it is the derivative of the objective at
    `point`), `score`, `label` and `number` (of the lane within its image); it writes `point`, `sum`, `step`
    and `status`, may use `pending` and `kept` as it likes, and may set `target` for the next gradient
    (`first_target` stays the explained class). Rows are flat: float32 [slots, features]. `low` and `high`
    bound a valid input. `output` is the model's own first output at `point`, float32 [slots, classes], logits
    or probabilities; None where it is not that.
    """

    apart = False
    """Whether the host has to wait for a device to read an entry."""

    def __init__(
        self,
        slots: int,
        shape: tuple[int, ...],
        low: float | None,
        high: float | None,
        companions: Mapping[str, tuple[tuple[int, ...], str]] | None = None,
        output: int | None = None,
        classes: int = 0,
    ) -> None:
        self.slots = slots
        self.shape = shape
        self.classes = classes
        """How many the model has; 0: not known."""
        self.features = int(np.prod(shape))
        self.low = -np.inf if low is None else low
        self.high = np.inf if high is None else high
        self.image, self.point, self.pending, self.sum, self.gradient = (
            np.zeros((slots, self.features), np.float32) for _ in range(5)
        )
        self.scale, self.score, self.first_score, self.length, self.pending_length = (
            np.zeros(slots, np.float32) for _ in range(5)
        )
        self.label, self.target, self.first_label, self.first_target = (
            np.zeros(slots, np.int64) for _ in range(4)
        )
        self.step, self.status, self.number = (np.zeros(slots, np.int32) for _ in range(3))
        self.output = None if output is None else np.zeros((slots, output), np.float32)
        self.baseline = np.zeros(self.features, np.float32)
        """What DeepLIFT's multipliers are relative to, flat."""
        self.companions = {
            name: np.zeros((slots, *size), dtype) for name, (size, dtype) in (companions or {}).items()
        }
        """The model's further inputs, [slots, *their shape]."""
        self.fresh: set[int] = set()
        """The slots whose lane has not been evaluated yet."""
        self.kept: list[Any] = [None] * slots
        """Whatever else a method keeps of a lane."""
        self._kernel = kernels.Lanes(
            image=self.image,
            point=self.point,
            pending=self.pending,
            sum=self.sum,
            gradient=self.gradient,
            scale=self.scale,
            label=self.label,
            target=self.target,
            step=self.step,
            status=self.status,
            length=self.length,
            pending_length=self.pending_length,
        )

    @property
    def kernel(self) -> Any:
        """The compiled recurrences on these arrays: `kernels.Lanes`."""
        return self._kernel

    def gathering(self, collector: Callable[[int], Collector]) -> Gathering:
        """What makes one image's attribution of its lanes' sums, as a collector for so many features does."""
        return InOrder(self.sum, collector(self.features))

    def add_up(self) -> None:
        """Where lanes are `apart`: do what gatherings took in this tick, whose slots are used again next."""

    def clear(self, slot: int, image: npt.NDArray[np.float32], target: int, number: int = 0) -> None:
        """Put a new lane for `image` (flat) into `slot`; target -1 lets the first prediction decide."""
        self.number[slot] = number
        self.fresh.add(slot)
        self._kernel.clear(slot, image, target)
        self.kept[slot] = None

    def move(self, source: int, to: int) -> None:
        """Move the lane in slot `source` to the free slot `to`, between two ticks."""
        for rows in (self.image, self.point, self.pending, self.sum):
            rows[to] = rows[source]
        for vector in (
            self.target,
            self.number,
            self.step,
            self.status,
            self.length,
            self.pending_length,
        ):
            vector[to] = vector[source]
        for first in (self.first_score, self.first_label, self.first_target):
            first[to] = first[source]
        for values in self.companions.values():
            values[to] = values[source]
        self.fresh.discard(to)
        if source in self.fresh:
            self.fresh.remove(source)
            self.fresh.add(to)
        self.kept[to], self.kept[source] = self.kept[source], None

    def fill(
        self,
        slots: Sequence[int],
        images: Sequence[npt.NDArray[np.float32]],
        targets: Sequence[int],
        numbers: Sequence[int],
    ) -> None:
        """`clear` for several slots, an entry each in what is given."""
        for given in zip(slots, images, targets, numbers, strict=True):
            self.clear(*given)

    def rearrange(self, moves: Mapping[int, int]) -> None:
        """`move` for several slots, to: source; no slot is both."""
        for to, source in moves.items():
            self.move(source, to)

    def note_start(self, count: int) -> None:
        """Of the lanes among the first `count` evaluated for the first time, keep score, label and target.

        Where the target is left to the model it is now decided, and stays as it is along the walk.
        """
        for slot in [s for s in self.fresh if s < count]:
            self.fresh.remove(slot)
            self.first_score[slot] = self.score[slot]
            label = self.first_label[slot] = self.label[slot]
            if self.target[slot] < 0:
                self.target[slot] = label
            self.first_target[slot] = self.target[slot]
