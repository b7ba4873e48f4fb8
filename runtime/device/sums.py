"""Adds up the lanes of each image on the device."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.kernels.gpu import THREADS
from fluxpath.runtime.device.arrays import DeviceRows
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.lanes.gathering import Collector, Gathering, Total, Variance

_GATHERED = np.dtype([("own", "u8"), ("first", "i4"), ("count", "i4"), ("before", "i4"), ("unused", "i4")])
"""The struct Gathered of cuda/sums.cuh."""
_ADDRESS = 8
"""Bytes of a row's address."""
_BLOCK = 2**24
"""Bytes to allocate at a time when no row is free: a block of 1 to 16 rows."""
_ALIGNMENT = 256
_LIST = 2**15
"""Bytes of the list of what is added. It is allocated once, so that adding up never lacks memory."""

Addition = tuple[int, int, list[int]]
"""The address of an image's row, its number of lanes after the addition, and the addresses to add."""
Launch = tuple[str, tuple[int, int], tuple[Any, ...]]
"""The arguments of `Device.launch`."""


class SpareRows:
    """A pool of rows of `size` bytes. Memory of rows given back is kept for later use.

    The pool has as many rows as were ever needed within two ticks, rounded up to a block. An image needs one
    row from the end of its first lane to the end of its last, and one for each lane that ended before its
    turn: at most one per lane, and few unless a walk is much longer than those after it. Rows are needed for
    images with a running lane (at most one per slot) and, for each request, images with waiting lanes: one,
    or, if the model chooses the target, as many as got theirs in the same ticks (again at most one per slot).
    """

    def __init__(self, device: Device, size: int) -> None:
        self._device = device
        self._size = -(-size // _ALIGNMENT) * _ALIGNMENT
        self._more = max(1, min(16, _BLOCK // self._size))
        self._blocks: list[DeviceRows] = []
        self._free: list[int] = []
        self._returned: list[int] = []

    @property
    def used(self) -> int:
        """The number of rows in use."""
        return len(self._blocks) * self._more - len(self._free) - len(self._returned)

    def take(self) -> int:
        """The address of a free row, whose contents are undefined."""
        if not self._free:
            block = DeviceRows(self._device, (self._more, self._size), np.uint8)
            self._blocks.append(block)
            self._free += [block.address + k * self._size for k in range(self._more)]
        return self._free.pop()

    def give_back(self, address: int) -> None:
        """Return a row to the pool; it is reused after `launched`, since the next launch can still use it."""
        self._returned.append(address)

    def launched(self) -> None:
        """Free the returned rows: every later launch comes after the one that last used them."""
        self._free += self._returned
        self._returned.clear()


class DeviceSums:
    """Adds the rows of `Lanes.sum` for all images; `add_up` adds the lanes taken since its last call.

    It uses one launch for all sums, in which each image adds its lanes in order, and one for all variances.
    """

    def __init__(self, device: Device, rows: DeviceRows) -> None:
        self.device = device
        self.features = rows.shape[1]
        self.blocks = -(-self.features // (4 * THREADS))
        self._rows = rows
        whole = -(-self.features // 4) * 4
        self.sums, self.moments = SpareRows(device, 4 * whole), SpareRows(device, 16 * whole)
        self._due: dict[str, dict[DeviceTotal, list[int]]] = {"add_sums": {}, "add_moments": {}}
        self._kept: list[tuple[int, int]] = []
        self._list = DeviceRows(device, (_LIST,), np.uint8)

    def gathering(self, collector: Collector) -> Gathering | None:
        """A `Gathering` on the device that does the same as `collector`; None if that is user-defined."""
        kinds = {Total: DeviceTotal, Variance: DeviceVariance}
        kind = kinds.get(type(collector))
        return None if kind is None else kind(self)

    def row(self, slot: int) -> int:
        """The address of the lane's sum."""
        return self._rows.address + slot * self._rows.row

    def add(self, image: DeviceTotal, rows: list[int]) -> None:
        """Have the next `add_up` add these rows (addresses) to the image."""
        self._due[image.kernel].setdefault(image, []).extend(rows)

    def keep(self, row: int) -> int:
        """Have the next `add_up` copy a row, which is overwritten after this tick; return the copy's row."""
        spare = self.sums.take()
        self._kept.append((spare, row))
        return spare

    def forget(self, image: DeviceTotal) -> None:
        """Cancel the additions to this image."""
        self._due[image.kernel].pop(image, None)

    def add_up(self) -> None:
        """Launch the additions and copies of this tick."""
        work = {k: [(i.address, i.taken, rows) for i, rows in due.items()] for k, due in self._due.items()}
        # A copy is the sum of a single row. It turns -0 into 0, which changes no result: the sums to which it
        # is added begin with 0 and never become -0.
        work["add_sums"] += [(spare, 1, [row]) for spare, row in self._kept]
        for part in _parts(work, len(self._list)):
            for launch in self.prepared(part):
                self.device.launch(*launch)
        for due in self._due.values():
            due.clear()
        self._kept.clear()
        for spare in (self.sums, self.moments):
            spare.launched()
        self.device.mark()

    def prepared(self, work: Mapping[str, Sequence[Addition]]) -> list[Launch]:
        """Upload the lists for `work`, additions by kernel that fit, and return the launches."""
        gathered = np.zeros(sum(len(images) for images in work.values()), _GATHERED)
        rows: list[int] = []
        for place, (own, taken, more) in enumerate(image for images in work.values() for image in images):
            gathered[place] = (own, len(rows), len(more), taken - len(more), 0)
            rows += more
        if not rows:
            return []
        data = gathered.tobytes() + np.asarray(rows, np.uint64).tobytes()
        self.device.upload(self._list.address, np.frombuffer(data, np.uint8))
        launches: list[Launch] = []
        at, addresses = self._list.address, self._list.address + gathered.nbytes
        for kernel, images in work.items():
            if images:
                given = (ctypes.c_void_p(at), ctypes.c_void_p(addresses), ctypes.c_int64(self.features))
                launches.append((kernel, (self.blocks, len(images)), given))
            at += len(images) * _GATHERED.itemsize
        return launches


def _parts(work: Mapping[str, Sequence[Addition]], size: int) -> Iterator[dict[str, list[Addition]]]:
    """`work` in parts whose lists fit into `size` bytes, in order; an image's lanes may be in several."""
    part: dict[str, list[Addition]] = {}
    left = size
    for kernel, images in work.items():
        for own, taken, rows in images:
            while rows:
                fit = (left - _GATHERED.itemsize) // _ADDRESS
                if fit < 1:
                    yield part
                    part, left = {}, size
                    continue
                now, rows = rows[:fit], rows[fit:]
                part.setdefault(kernel, []).append((own, taken - len(rows), now))
                left -= _GATHERED.itemsize + _ADDRESS * len(now)
    yield part


class DeviceTotal:
    """`Gathering` of `Total` on a device: one row per image, to which its lanes' rows are added."""

    kernel = "add_sums"

    def __init__(self, sums: DeviceSums) -> None:
        self._sums = sums
        self._own = self._spare()
        self.address = self._own.take()
        self.taken = 0
        """The number of lanes in the sum, including those that `add_up` is still to add."""
        self._early: dict[int, int] = {}

    def _spare(self) -> SpareRows:
        return self._sums.sums

    def take(self, number: int, slot: int) -> None:
        """See `Gathering`; lanes that end in the same tick must come in order of lane number."""
        row = self._sums.row(slot)
        if number != self.taken:
            self._early[number] = self._sums.keep(row)
            return
        due = [row]
        self.taken += 1
        while self.taken in self._early:
            due.append(self._early.pop(self.taken))
            self._sums.sums.give_back(due[-1])
            self.taken += 1
        self._sums.add(self, due)

    def result(self, values: npt.NDArray[np.float32]) -> None:
        """See `Gathering`; the only copy to the host."""
        try:
            self._sums.device.fetch(values, self.address)
        finally:
            self.drop()

    def drop(self) -> None:
        """See `Gathering`."""
        self._sums.forget(self)
        self._own.give_back(self.address)
        for row in self._early.values():
            self._sums.sums.give_back(row)
        self._early.clear()


class DeviceVariance(DeviceTotal):
    """`Gathering` of `Variance` on a device: two float64 rows, the mean and the summed squares."""

    kernel = "add_moments"

    def _spare(self) -> SpareRows:
        return self._sums.moments

    def result(self, values: npt.NDArray[np.float32]) -> None:
        """See `Gathering`."""
        given = (ctypes.c_void_p(self.address), ctypes.c_int(self.taken), ctypes.c_int64(self._sums.features))
        self._sums.device.launch("variance_of", (self._sums.blocks, 1), given)
        self._sums.device.mark()
        super().result(values)
