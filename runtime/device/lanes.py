"""Lanes whose arrays live on a device, behind the interface of those on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.device.arrays import DeviceHalves, DeviceRows, DeviceVectors
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.kernel import DeviceKernel
from fluxpath.runtime.device.sums import DeviceSums
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.lanes.gathering import Collector, Gathering, InOrder

_ROWS = ("image", "point", "pending", "sum")
_VECTORS: dict[str, npt.DTypeLike] = {
    **dict.fromkeys(("scale", "score", "first_score", "length", "pending_length"), np.float32),
    **dict.fromkeys(("label", "target", "first_label", "first_target"), np.int64),
    **dict.fromkeys(("step", "status", "begun"), np.int32),
}


class DeviceLanes(Lanes):
    """See `Lanes`: a method with a fused kernel leaves everything on the device within a tick.

    What crosses over is an image once, when its lane begins; one small block a tick that tells which lanes
    ended; and an image's attribution once, at its end. A method written in numpy works too, and pays for the
    copies.
    gradient: the element type of the graph's gradients, which the kernels read; here they are float32.
    """

    apart = True

    def __init__(
        self,
        device: Device,
        slots: int,
        shape: tuple[int, ...],
        low: float | None,
        high: float | None,
        companions: Mapping[str, tuple[tuple[int, ...], str]] | None = None,
        output: int | None = None,
        gradient: str = "float32",
    ) -> None:
        self.device = device
        self.slots = slots
        self.shape = shape
        self.features = int(np.prod(shape))
        self.low = -np.inf if low is None else low
        self.high = np.inf if high is None else high
        self._vectors = DeviceVectors(device, slots, _VECTORS)
        rows = (slots, self.features)
        arrays: dict[str, Any] = {
            **{name: DeviceRows(device, rows, np.float32) for name in _ROWS},
            "gradient": DeviceRows(device, rows, np.float32)
            if gradient == "float32"
            else DeviceHalves(device, rows, gradient),
            **self._vectors.vectors,
        }
        # The methods see arrays that are indexed like numpy's; a type for both would promise too much.
        for name, array in arrays.items():
            setattr(self, name, array)
        further: dict[str, Any] = {
            name: DeviceRows(device, (slots, *size), dtype)
            for name, (size, dtype) in (companions or {}).items()
        }
        self.companions = further
        first: Any = None if output is None else DeviceRows(device, (slots, output), np.float32)
        self.output = first
        self.baseline = np.zeros(self.features, np.float32)
        # No kernel asks for the number, and it changes by the host's doing alone.
        self.number = np.zeros(slots, np.int32)
        self.kept = [None] * slots
        self._fused = DeviceKernel(device, arrays, gradient, self._vectors.changed)
        self._sums = DeviceSums(device, arrays["sum"])

    @property
    def kernel(self) -> Any:
        """The fused kernels."""
        return self._fused

    def changed(self) -> None:
        """The device was given work on these arrays by someone else: the gradient graph."""
        self._vectors.changed()

    def gathering(self, collector: Callable[[int], Collector]) -> Gathering:
        """See `Lanes.gathering`; what a collector of the caller's own takes is copied to the host for it."""
        made = collector(self.features)
        return self._sums.gathering(made) or InOrder(self.sum, made)

    def add_up(self) -> None:
        """See `Lanes.add_up`: one launch for all images."""
        self._sums.add_up()

    def clear(self, slot: int, image: npt.NDArray[np.float32], target: int, number: int = 0) -> None:
        """See `Lanes.clear`."""
        self.fill([slot], [image], [target], [number])

    def fill(
        self,
        slots: Sequence[int],
        images: Sequence[npt.NDArray[np.float32]],
        targets: Sequence[int],
        numbers: Sequence[int],
    ) -> None:
        """See `Lanes.fill`: one launch."""
        self.kernel.fill(slots, images, targets)
        for slot, number in zip(slots, numbers, strict=True):
            self.number[slot] = number
            self.kept[slot] = None

    def move(self, source: int, to: int) -> None:
        """See `Lanes.move`."""
        self.rearrange({to: source})

    def rearrange(self, moves: Mapping[int, int]) -> None:
        """See `Lanes.rearrange`: one launch."""
        self.kernel.move(moves)
        rows: Any
        for to, source in moves.items():
            for rows in self.companions.values():
                rows.move(source, to)
            self.number[to] = self.number[source]
            self.kept[to], self.kept[source] = self.kept[source], None

    def note_start(self, count: int) -> None:
        """See `Lanes.note_start`."""
        self.kernel.note_start(count)
