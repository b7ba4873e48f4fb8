"""Device arrays that the methods' numpy code can read and write like host arrays."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.half import RAW, narrowed, widened

Key = int | np.integer[Any] | slice | npt.NDArray[Any]
_ALIGNMENT = 256


class DeviceRows:
    """`shape[0]` rows on the device. Reading copies rows to the host; assigning copies rows to the device.

    A slice is read-only, because writing into it would change only the copy.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._device = device
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row = int(np.prod(shape[1:])) * self.dtype.itemsize
        self.address = device.allocate(max(1, shape[0] * self.row))
        weakref.finalize(self, device.free, self.address)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Key) -> npt.NDArray[Any]:
        numbers = np.arange(len(self))[key]
        out = np.empty((*numbers.shape, *self.shape[1:]), self.dtype)
        if isinstance(key, slice) and key.step in (None, 1):
            if out.size:
                self._device.download(out, self.address + int(numbers[0]) * self.row)
        else:
            for place, number in np.ndenumerate(numbers):
                part = out[place] if place else out
                self._device.download(np.asarray(part), self.address + int(number) * self.row)
        out.flags.writeable = not isinstance(key, slice)
        return out

    def __setitem__(self, key: Key, values: npt.ArrayLike) -> None:
        numbers = np.arange(len(self))[key]
        given = np.broadcast_to(np.asarray(values, self.dtype), (*numbers.shape, *self.shape[1:]))
        same = numbers.size > 1 and not any(given.strides[: numbers.ndim])
        first: int | None = None
        for place, number in np.ndenumerate(numbers):
            if first is not None:  # a row broadcast to several places is uploaded once
                self.move(first, int(number))
                continue
            self._device.upload(self.address + int(number) * self.row, np.ascontiguousarray(given[place]))
            first = int(number) if same else None

    def move(self, source: int, to: int) -> None:
        """Copy a row within the device."""
        self._device.copy(self.address + to * self.row, self.address + source * self.row, self.row)


class DeviceHalves(DeviceRows):
    """Rows of float16 or bfloat16 (`name`), read and assigned as float32."""

    def __init__(self, device: Device, shape: tuple[int, ...], name: str) -> None:
        super().__init__(device, shape, RAW)
        self.name = name

    def __getitem__(self, key: Key) -> npt.NDArray[Any]:
        values = widened(super().__getitem__(key), self.name)
        values.flags.writeable = not isinstance(key, slice)
        return values

    def __setitem__(self, key: Key, values: npt.ArrayLike) -> None:
        super().__setitem__(key, narrowed(values, self.name))


class DeviceVectors:
    """Several vectors with one entry per slot, in one block of memory mirrored in pinned host memory.

    One small copy per tick brings everything the device changed to the host: the status of every lane, and
    the steps, scores and labels.
    """

    def __init__(self, device: Device, slots: int, dtypes: Mapping[str, npt.DTypeLike]) -> None:
        self._device = device
        places: dict[str, tuple[int, np.dtype[Any]]] = {}
        size = 0
        for name, dtype in dtypes.items():
            places[name] = (size, np.dtype(dtype))
            size += -(-slots * np.dtype(dtype).itemsize // _ALIGNMENT) * _ALIGNMENT
        self.address = device.allocate(size)
        weakref.finalize(self, device.free, self.address)
        self._host = device.pinned(size)
        self._host[:] = 0
        self._stale = False
        self.vectors = {
            name: DeviceVector(self, self.address + at, self._host[at : at + slots * d.itemsize].view(d))
            for name, (at, d) in places.items()
        }

    def changed(self) -> None:
        """Note that work was launched on the device that can write to the vectors."""
        self._stale = True

    def refresh(self) -> None:
        """Wait for the device and update the host's copy, if anything can have changed."""
        if self._stale:
            self._device.download(self._host, self.address)
            self._stale = False

    def write(self, address: int, values: npt.NDArray[Any]) -> None:
        """Copy the host's values to the device."""
        self._device.upload(address, values)


class DeviceVector:
    """One vector of a `DeviceVectors`: reads refresh the host's copy, assignments write to both."""

    def __init__(self, owner: DeviceVectors, address: int, host: npt.NDArray[Any]) -> None:
        self._owner = owner
        self._host = host
        self.address = address
        self.dtype = host.dtype
        self.shape = host.shape

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Key) -> Any:
        self._owner.refresh()
        values = self._host[key]
        if isinstance(values, np.ndarray):
            values = values.copy()
            values.flags.writeable = not isinstance(key, slice)
        return values

    def __setitem__(self, key: Key, values: npt.ArrayLike) -> None:
        self._owner.refresh()
        self._host[key] = values
        self._owner.write(self.address, self._host)
