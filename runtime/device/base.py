"""The interface of a device with separate memory, as lanes on it need it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ProviderError

Host = npt.NDArray[Any]


class Arguments(tuple[Any, ...]):
    """A kernel's arguments with their addresses, for one that is launched with the same ones repeatedly."""

    addresses: ctypes.Array[ctypes.c_void_p]

    def __new__(cls, given: Sequence[ctypes._CDataType]) -> Arguments:
        self = super().__new__(cls, given)
        self.addresses = (ctypes.c_void_p * len(given))(*(ctypes.addressof(a) for a in given))
        return self


class Device(Protocol):
    """Memory, copies and kernels in the order of one stream, and copies beside it; addresses are integers.

    kind: ONNX Runtime's name for the memory ("cuda"). number: the device's number. stream: its handle.
    """

    kind: str
    number: int
    stream: int

    def allocate(self, size: int) -> int:
        """Return the address of `size` zero bytes, aligned to 256 bytes; release them with `free`."""
        ...

    def free(self, address: int) -> None:
        """Release memory from `allocate`."""
        ...

    def used(self) -> int:
        """The bytes of the device's memory in use by all processes and libraries together."""
        ...

    def pinned(self, size: int) -> npt.NDArray[np.uint8]:
        """Page-locked host memory, uint8 [size], for direct copies; it is released with the array."""
        ...

    def upload(self, address: int, source: Host) -> None:
        """Copy a contiguous array to the device; the caller can change it as soon as this returns."""
        ...

    def download(self, target: Host, address: int) -> None:
        """Fill a contiguous array from the device, after waiting for all earlier work."""
        ...

    def mark(self) -> None:
        """Note that `send` and `fetch` may begin once the work launched so far is done."""
        ...

    def send(self, address: int, source: Host) -> None:
        """Like `upload`, but only after the work launched before `mark`, beside all later work."""
        ...

    def fetch(self, target: Host, address: int) -> None:
        """Like `download`, but only after the work launched before `mark`, beside all later work."""
        ...

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy within the device."""
        ...

    def launch(self, kernel: str, grid: tuple[int, int], arguments: Sequence[ctypes._CDataType]) -> None:
        """Launch a kernel of `kernels.gpu.KERNELS`; the arguments are copied."""
        ...

    def view(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> object:
        """An object that `torch.as_tensor` accepts without a copy."""
        ...


def parse(device: str) -> tuple[str, int]:
    """Parse "cpu", "cuda", "cuda:1" or "auto" into a kind and a number; raises ProviderError otherwise."""
    text = device if isinstance(device, str) else ""
    match = re.fullmatch(r"(cpu|auto)|(cuda)(?::(\d{1,6}))?", text, re.ASCII)
    if match is None:
        raise ProviderError(f"device is {device!r}, it must be 'cpu', 'cuda', 'cuda:1' (and so on) or 'auto'")
    return match[1] or match[2], int(match[3] or 0)
