"""Launches the fused kernels on lanes in device memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import kernels
from fluxpath.errors import InputError
from fluxpath.kernels.gpu import CHUNK, MEASURED, THREADS
from fluxpath.runtime.device.arrays import DeviceRows, DeviceVector
from fluxpath.runtime.device.base import Arguments, Device
from fluxpath.runtime.device.images import DeviceImages

_ARRAYS = (
    *("image", "point", "pending", "sum", "gradient", "scale", "score", "label", "target", "step"),
    *("status", "length", "pending_length", "reach"),
)
_NOTES = ("first_score", "first_label", "first_target", "begun")
MOST_SLOTS = 65535
"""CUDA's limit for a grid's second dimension, which counts lanes."""
_PLAN = 5 * 4  # sizeof(Plan) in cuda/block.cuh
_FRESH = np.dtype([("target", "i8"), ("slot", "i4"), ("row", "i4"), ("reach", "f4"), ("unused", "i4")])
"""Fresh of cuda/slots.cuh."""

_Method = kernels.Mfaba | kernels.Neflag | kernels.Reach


class LaneArrays(ctypes.Structure):
    """LaneArrays of include/fluxpath/lanes.h."""

    _fields_ = [*((name, ctypes.c_void_p) for name in _ARRAYS), ("features", ctypes.c_int64)]


class Scratch(ctypes.Structure):
    """Scratch of cuda/block.cuh."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("partial", "plan", "ticket")]


class Notes(ctypes.Structure):
    """Notes of cuda/slots.cuh."""

    _fields_ = [(name, ctypes.c_void_p) for name in _NOTES]


class DeviceKernel:
    """The interface of `kernels.Lanes`, and the engine's operations on slots, on a device.

    arrays: the arrays of `DeviceLanes` by name. gradient: the gradients' type, of `kernels.gpu.GRADIENTS`.
    launched: called after each launch, which can change any of the arrays.
    """

    def __init__(
        self,
        device: Device,
        arrays: dict[str, DeviceRows | DeviceVector],
        gradient: str = "float32",
        launched: Callable[[], None] = lambda: None,
    ) -> None:
        self._device = device
        self._launched = launched
        self._slots, self._features = (int(size) for size in arrays["point"].shape)
        if self._slots > MOST_SLOTS:
            raise InputError(f"slots is {self._slots}, on a GPU it must be at most {MOST_SLOTS}")
        self._chunks = -(-self._features // CHUNK)
        self._gradient = gradient
        self._arrays = LaneArrays(*(arrays[name].address for name in _ARRAYS), self._features)
        self._notes = Notes(*(arrays[name].address for name in _NOTES))
        self._buffers = [
            DeviceRows(device, (self._slots, 2 * self._chunks), np.float64),
            DeviceRows(device, (self._slots, _PLAN), np.uint8),
            DeviceRows(device, (self._slots,), np.uint32),
        ]
        self._scratch = Scratch(*(b.address for b in self._buffers))
        self._lists = [DeviceRows(device, (self._slots,), np.int32) for _ in range(2)]
        self._addresses = [ctypes.c_void_p(r.address) for r in self._lists]
        self._listed: list[bytes] = [b"", b""]
        self._method: _Method | None = None
        self._noting: dict[int, Arguments] = {}
        self.images = DeviceImages(device, self._slots, self._features)
        self._fresh = DeviceRows(device, (self._slots, _FRESH.itemsize), np.uint8)
        self._pairs = DeviceRows(device, (self._slots, 2), np.int32)

    def advance_mfaba(self, slots: Any, method: kernels.Mfaba) -> None:
        """See `kernels.Lanes`."""
        self._advance(("mfaba_measure", "mfaba_move"), slots, method)
        if method.norm_path:
            self._advance(("mfaba_weigh",), slots, method)

    def advance_neflag(self, slots: Any, method: kernels.Neflag) -> None:
        """See `kernels.Lanes`."""
        self._advance(("neflag_measure", "neflag_move"), slots, method)

    def advance_reach(self, slots: Any, method: kernels.Reach) -> None:
        """See `kernels.Lanes`."""
        self._advance(("reach_measure",), slots, method)

    def start_neflag(self, slots: Any, numbers: Any, method: kernels.Neflag, seed: int) -> None:
        """See `kernels.Lanes`."""
        if len(numbers) != len(slots):
            raise ValueError("numbers must match slots")
        listed, numbered = self._list(0, slots), self._list(1, numbers, check=False)
        settings = ctypes.create_string_buffer(bytes(method))
        arrays, scratch = self._arrays, self._scratch
        self._launch("neflag_draw", len(slots), arrays, scratch, listed, numbered, ctypes.c_uint64(seed))
        self._launch("neflag_place", len(slots), arrays, scratch, listed, settings)

    def advance_weighted(self, slots: Any, weights: Any, method: kernels.Weighted) -> None:
        """See `kernels.Lanes`."""
        listed, weighted = self._list(0, slots), self._floats(slots, weights)
        settings = ctypes.create_string_buffer(bytes(method))
        arrays, scratch, kind = self._arrays, self._scratch, self._gradient
        self._launch(f"weighted_measure_{kind}", len(slots), arrays, scratch, listed)
        self._launch(f"weighted_move_{kind}", len(slots), arrays, scratch, listed, weighted, settings)

    def start_straight(self, slots: Any, shares: Any) -> None:
        """See `kernels.Lanes`."""
        listed, shared = self._list(0, slots), self._floats(slots, shares)
        self._launch("straight_place", len(slots), self._arrays, listed, shared)

    def start_noise(
        self, slots: Any, numbers: Any, *, deviation: float, low: float, high: float, seed: int
    ) -> None:
        """See `kernels.Lanes`."""
        if len(numbers) != len(slots):
            raise ValueError("numbers must match slots")
        listed, numbered = self._list(0, slots), self._list(1, numbers, check=False)
        settings = (ctypes.c_float(v) for v in (deviation, low, high))
        self._launch(
            "noise_place", len(slots), self._arrays, listed, numbered, *settings, ctypes.c_uint64(seed)
        )

    def fill(
        self,
        slots: Sequence[int],
        images: Sequence[npt.NDArray[np.float32]],
        targets: Sequence[int],
        reaches: Sequence[float],
    ) -> None:
        """See `Lanes.fill`; an image that several lanes share is uploaded once."""
        if not slots:
            return
        fresh = np.zeros(len(slots), _FRESH)
        fresh["slot"], fresh["target"], fresh["reach"] = slots, targets, reaches
        self._check(fresh["slot"])
        fresh["row"] = self.images.places(images)
        self._device.upload(self._fresh.address, fresh)
        given = (ctypes.c_void_p(a.address) for a in (self.images, self._fresh))
        self._launch("fill_lanes", len(slots), self._arrays, self._notes, *given)
        self._device.mark()

    def move(self, moves: Mapping[int, int]) -> None:
        """See `Lanes.rearrange`."""
        if moves:
            pairs = np.asarray([(source, to) for to, source in moves.items()], np.int32)
            self._check(pairs)
            self._device.upload(self._pairs.address, pairs)
            listed = ctypes.c_void_p(self._pairs.address)
            self._launch("move_lanes", len(pairs), self._arrays, self._notes, listed)

    def note_start(self, count: int) -> None:
        """See `Lanes.note_start`."""
        grid = (-(-count // THREADS), 1)
        if (given := self._noting.get(count)) is None:
            given = self._noting[count] = Arguments((self._arrays, self._notes, ctypes.c_int(count)))
        self._device.launch("note_start", grid, given)
        self._launched()

    def _advance(self, names: tuple[str, ...], slots: Any, method: _Method) -> None:
        listed = self._list(0, slots)
        if method is not self._method:  # settings never change, so the same ones have the same arguments
            settings = ctypes.create_string_buffer(bytes(method))
            self._method = method
            self._advancing = Arguments((self._arrays, self._scratch, listed, settings))
        for name in names:
            self._launch_with(f"{name}_{self._gradient}", len(slots), self._advancing)

    def _launch(self, name: str, lanes: int, *arguments: Any) -> None:
        self._launch_with(name, lanes, arguments)

    def _launch_with(self, name: str, lanes: int, arguments: Sequence[Any]) -> None:
        if lanes:
            chunks = -(-self._features // MEASURED) if "_measure_" in name else self._chunks
            self._device.launch(name, (chunks, lanes), arguments)
            self._launched()

    def _floats(self, slots: Any, numbers: Any) -> ctypes.c_void_p:
        """Upload one float32 per slot into the second list, which otherwise holds the lanes' numbers."""
        if len(numbers) != len(slots):
            raise ValueError("there must be a number for every slot")
        return self._list(1, np.ascontiguousarray(numbers, np.float32).view(np.int32), check=False)

    def _check(self, slots: Any) -> None:
        if not 0 <= slots.min() <= slots.max() < self._slots:
            raise IndexError("no such slot")

    def _list(self, which: int, numbers: Any, check: bool = True) -> ctypes.c_void_p:
        """Upload list `which` unless it equals the last upload, as in most ticks; return its address."""
        if (data := numbers.tobytes()) != self._listed[which]:
            if check and len(numbers):
                self._check(numbers)
            self._device.upload(self._lists[which].address, np.ascontiguousarray(numbers, np.int32))
            self._listed[which] = data
        return self._addresses[which]
