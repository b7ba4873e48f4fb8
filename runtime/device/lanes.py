"""Lanes with their arrays in device memory, behind the interface of host lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.device.arrays import DeviceHalves, DeviceRows, DeviceVectors
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.kernel import DeviceKernel
from fluxpath.runtime.device.sums import DeviceSums
from fluxpath.runtime.lanes import Collector, Companions, Fresh, Lanes
from fluxpath.runtime.lanes.gathering import Gathering, InOrder
from fluxpath.runtime.lanes.lanes import NO_COMPANIONS, check_labels

_ROWS = ("image", "point", "pending", "sum")
_VECTORS: dict[str, npt.DTypeLike] = {
    **dict.fromkeys(("scale", "score", "first_score", "length", "pending_length", "reach"), np.float32),
    **dict.fromkeys(("label", "target", "first_label", "first_target"), np.int64),
    **dict.fromkeys(("step", "status", "begun"), np.int32),
}


class DeviceLanes(Lanes):
    """See `Lanes`: during a tick, a method with a fused kernel keeps all its data on the device.

    Only these are copied: each image once, when its lane begins; per tick one small block that says which
    lanes ended; each attribution once, at its image's end. A method in numpy works too, at the cost of its
    copies.

    gradient: the element type of the graph's gradients, which the kernels read; the default is float32.
    """

    far = True

    def __init__(
        self,
        device: Device,
        slots: int,
        shape: tuple[int, ...],
        low: float | None,
        high: float | None,
        companions: Companions = NO_COMPANIONS,
        output: int | None = None,
        classes: int = 0,
        baseline: npt.NDArray[np.float32] | None = None,
        objective: str = "softmax",
        gradient: str = "float32",
    ) -> None:
        self.device, self._gradient = device, gradient
        super().__init__(slots, shape, low, high, companions, output, classes, baseline, objective)

    def _allocate(self, companions: Companions, output: int | None) -> None:
        device, rows = self.device, (self.slots, self.features)
        self._vectors = DeviceVectors(device, self.slots, _VECTORS)
        whole = self._gradient == "float32"
        arrays: dict[str, Any] = {
            **{name: DeviceRows(device, rows, np.float32) for name in _ROWS},
            "gradient": DeviceRows(device, rows, np.float32)
            if whole
            else DeviceHalves(device, rows, self._gradient),
            **self._vectors.vectors,
        }
        # Device arrays support only indexing, so a common type with numpy's would promise too much.
        for name, array in arrays.items():
            setattr(self, name, array)
        further: Any = {
            n: DeviceRows(device, (self.slots, *s), dtype) for n, (s, dtype) in companions.items()
        }
        self.companions = further
        first: Any = None if output is None else DeviceRows(device, (self.slots, output), np.float32)
        self.output = first
        self.kernel = DeviceKernel(device, arrays, self._gradient, self._vectors.changed)
        self._sums = DeviceSums(device, arrays["sum"])
        self._soonest = np.zeros(self.slots, np.int32)
        """Number of evaluations, from now on, after which the lane in each slot can end, int32 [slots]."""

    def changed(self) -> None:
        """Note that other code, the gradient graph, launched work on these arrays."""
        self._vectors.changed()

    def fill(self, fresh: Sequence[Fresh]) -> None:
        """See `Lanes.fill`; one launch."""
        self.kernel.fill(*([lane[part] for lane in fresh] for part in (0, 1, 2, -1)))
        for lane in fresh:
            self._soonest[lane.slot] = lane.shortest
        self._begin(fresh)

    def expect(self, images: Sequence[npt.NDArray[np.float32]]) -> None:
        """See `Lanes.expect`; copies them while the device works."""
        self.kernel.images.send(images)

    def rearrange(self, moves: Mapping[int, int]) -> None:
        """See `Lanes.rearrange`; one launch."""
        self.kernel.move(moves)
        rows: Any
        for to, source in moves.items():
            for rows in self.companions.values():
                rows.move(source, to)
            self.number[to], self._soonest[to] = self.number[source], self._soonest[source]
            self.kept[to], self.kept[source] = self.kept[source], None

    def note_start(self, count: int) -> None:
        """See `Lanes.note_start`; one launch."""
        self.kernel.note_start(count)

    def ended(self, count: int) -> list[int]:
        """See `Lanes.ended`; waits for the device only if a lane can have ended.

        The labels come with the statuses, so only here does a label that is no class become an ArtifactError.
        """
        self._soonest[:count] -= 1
        if (self._soonest[:count] > 0).all():
            return []  # without waiting, so that the host launches the next tick at once
        check_labels(self.label[:count], self.classes)
        return sorted(super().ended(count), key=self.number.__getitem__)

    def gathering(self, collector: Collector) -> Gathering:
        """See `Lanes.gathering`; for a user-defined collector, each lane's sum is copied to the host."""
        return self._sums.gathering(collector) or InOrder(self.sum, collector)

    def add_up(self) -> None:
        """See `Lanes.add_up`; one launch for all images."""
        self._sums.add_up()
