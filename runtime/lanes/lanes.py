"""The engine's arrays: one row per slot, shared with the gradient graph and the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fluxpath import kernels
from fluxpath.errors import ArtifactError
from fluxpath.methods import width_of
from fluxpath.runtime.lanes.gathering import Collector, Gathering, InOrder

Slots = npt.NDArray[np.int32]
"""Slot numbers, int32 [k]."""

Companions = Mapping[str, tuple[tuple[int, ...], str]]
"""The model's further inputs by name: the shape per image without the batch, and the numpy dtype's name."""

NO_COMPANIONS: Companions = {}
_NO_ROWS: Mapping[str, npt.NDArray[Any]] = {}


class Fresh(NamedTuple):
    """A lane that begins in `slot`.

    image: float32 [features]. target: the class to explain; -1 for the predicted one. number: the lane's
    number within its image. shortest: `Method.shortest`. companions: the image's row of each further input.
    reach: `Lanes.reach`, 0 if it is not known.
    """

    slot: int
    image: npt.NDArray[np.float32]
    target: int
    number: int = 0
    shortest: int = 1
    companions: Mapping[str, npt.NDArray[Any]] = _NO_ROWS
    reach: float = 0.0


class Lanes:
    """The state of every lane, in arrays of `slots` rows that are allocated once.

    A method reads `image`, `gradient`, `scale` (scale * gradient is the derivative of the objective at
    `point`), `score`, `label` and `number` (the lane's number within its image). It writes `point`, `sum`,
    `step` and `status`, can use `pending` and `kept` freely, and can set `target` for the next gradient
    (`first_target` stays the explained class). Rows are flat: float32 [slots, features]. `kernel` holds the
    compiled recurrences on these arrays, see `kernels.Lanes`. `low` and `high` bound a valid input; `width`
    is high - low, or 1.0 if one is infinite: the unit of settings that are lengths. `output` is the model's
    own first output at `point`, float32 [slots, classes], if that is logits or probabilities, else None.
    `classes` is the model's number of classes, 0 if unknown, and `objective` what is explained. `reach`,
    float32 [slots], is how far the boundary would be from the lane's image if the network were linear, by the
    evaluation at the image; 0 until a method whose `Method.reach` says so has it measured. `baseline`,
    float32 [features], is the baseline of DeepLIFT's multipliers. `companions` are the model's further
    inputs, [slots, *shape].
    """

    far = False
    """Whether the rows live in other memory: their results are then fetched during the next evaluation."""

    def __init__(
        self,
        slots: int,
        shape: tuple[int, ...],
        low: float | None,
        high: float | None,
        companions: Companions = NO_COMPANIONS,
        output: int | None = None,
        classes: int = 0,
        baseline: npt.NDArray[np.float32] | None = None,
        objective: str = "softmax",
    ) -> None:
        self.slots = slots
        self.shape = shape
        self.features = int(np.prod(shape))
        self.low = -np.inf if low is None else low
        self.high = np.inf if high is None else high
        self.width = width_of(low, high)
        self.classes = classes
        self.objective = objective
        self.baseline = np.zeros(self.features, np.float32) if baseline is None else baseline
        self.number = np.zeros(slots, np.int32)
        self.kept: list[Any] = [None] * slots
        """Any further state that a method keeps for a lane, one entry per slot."""
        self._allocate(companions, output)

    def _allocate(self, companions: Companions, output: int | None) -> None:
        slots = self.slots
        self.image, self.point, self.pending, self.sum, self.gradient = (
            np.zeros((slots, self.features), np.float32) for _ in range(5)
        )
        self.scale, self.score, self.first_score, self.length, self.pending_length, self.reach = (
            np.zeros(slots, np.float32) for _ in range(6)
        )
        self.label, self.target, self.first_label, self.first_target = (
            np.zeros(slots, np.int64) for _ in range(4)
        )
        self.step, self.status = (np.zeros(slots, np.int32) for _ in range(2))
        self.output = None if output is None else np.zeros((slots, output), np.float32)
        self.companions = {n: np.zeros((slots, *shape), dtype) for n, (shape, dtype) in companions.items()}
        self._fresh: set[int] = set()
        """The slots with a lane that has not been evaluated yet."""
        self.kernel: Any = kernels.Lanes(
            image=self.image,
            point=self.point,
            pending=self.pending,
            sum=self.sum,
            gradient=self.gradient,
            scale=self.scale,
            score=self.score,
            label=self.label,
            target=self.target,
            step=self.step,
            status=self.status,
            length=self.length,
            pending_length=self.pending_length,
            reach=self.reach,
        )

    @property
    def bytes(self) -> int:
        """Bytes of the arrays of all slots together."""
        arrays = (*vars(self).values(), *self.companions.values())
        return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray) and len(a) == self.slots)

    def fill(self, fresh: Sequence[Fresh]) -> None:
        """Put new lanes into slots and reset the slots' state."""
        clear, begun = self.kernel.clear, self._fresh.add
        for slot, image, target, _, _, _, reach in fresh:
            begun(slot)
            clear(slot, image, target, reach)
        self._begin(fresh)

    def _begin(self, fresh: Sequence[Fresh]) -> None:
        """Set what the host keeps of new lanes, and their companions."""
        number, kept = self.number, self.kept
        for slot, _, _, lane, _, companions, _ in fresh:
            number[slot] = lane
            kept[slot] = None
            for name, row in companions.items():
                self.companions[name][slot] = row

    def expect(self, images: Sequence[npt.NDArray[np.float32]]) -> None:
        """Prepare for these images, whose lanes begin soon; on the host there is nothing to prepare."""

    def rearrange(self, moves: Mapping[int, int]) -> None:
        """Move lanes to free slots between two ticks. moves: source slot by destination; no slot is both."""
        for to, source in moves.items():
            for rows in (self.image, self.point, self.pending, self.sum, *self.companions.values()):
                rows[to] = rows[source]
            for vector in (self.target, self.number, self.step, self.status, self.length):
                vector[to] = vector[source]
            for vector in (self.pending_length, self.first_score, self.first_label, self.first_target):
                vector[to] = vector[source]
            self.reach[to] = self.reach[source]
            self._fresh.discard(to)
            if source in self._fresh:
                self._fresh.remove(source)
                self._fresh.add(to)
            self.kept[to], self.kept[source] = self.kept[source], None

    def note_start(self, count: int) -> None:
        """Keep score, label and target of the lanes, among the first `count`, evaluated for the first time.

        Only this replaces a target of -1 by the predicted class, which is explained along the whole walk.
        Raises ArtifactError if one of these labels is no class; later ones are only compared with the target.
        """
        fresh = [s for s in self._fresh if s < count]
        if not fresh:
            return
        check_labels(self.label[fresh], self.classes)
        for slot in fresh:
            self._fresh.remove(slot)
            self.first_score[slot] = self.score[slot]
            label = self.first_label[slot] = self.label[slot]
            if self.target[slot] < 0:
                self.target[slot] = label
            self.first_target[slot] = self.target[slot]

    def ended(self, count: int) -> list[int]:
        """Return the slots, among the first `count` (just evaluated and advanced), whose lanes have ended.

        The order is the one that `Gathering.take` needs.
        """
        slots: list[int] = self.status[:count].nonzero()[0].tolist()
        return slots

    def gathering(self, collector: Collector) -> Gathering:
        """A `Gathering` for one image that gives the result of `collector`."""
        return InOrder(self.sum, collector)

    def add_up(self) -> None:
        """Add the lanes taken in this tick before their slots are reused; on the host, `take` added them."""


def check_labels(labels: npt.NDArray[np.int64], classes: int) -> None:
    """Raise ArtifactError unless what a graph predicts, int64 [count], are classes, which they are used as.

    classes: how many there are, 0 if that is not known.
    """
    if len(labels) and (labels.min() < 0 or 0 < classes <= labels.max()):
        wrong = next(label for label in labels.tolist() if label < 0 or label >= classes)
        raise ArtifactError(
            f"the graph predicts the class {wrong}, and its manifest has {classes}: export the model again"
        )
