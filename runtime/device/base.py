"""What a device with memory of its own has to do for lanes that live on it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ProviderError

Host = npt.NDArray[Any]


class Device(Protocol):
    """Memory, copies and kernels, all in the order of one stream; addresses are plain numbers.

    `kind` is ONNX Runtime's word for the memory ("cuda"), `number` which device it is, `stream` its stream.
    """

    kind: str
    number: int
    stream: int

    def allocate(self, size: int) -> int:
        """`size` bytes of zeros, aligned to 256; given back with `free`."""
        ...

    def free(self, address: int) -> None:
        """Give memory back."""
        ...

    def used(self) -> int:
        """How many bytes of the device's memory are in use, by this process, its libraries and others."""
        ...

    def pinned(self, size: int) -> npt.NDArray[np.uint8]:
        """Page-locked host memory, which the device copies to directly; it lives as long as the array."""
        ...

    def upload(self, address: int, source: Host) -> None:
        """Copy a contiguous array there; the caller may change it after the call returns."""
        ...

    def download(self, target: Host, address: int) -> None:
        """Fill a contiguous array from there, once all work before is done."""
        ...

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy within the device."""
        ...

    def launch(self, kernel: str, grid: tuple[int, int], arguments: Sequence[ctypes._CDataType]) -> None:
        """Start a kernel of `kernels.gpu.KERNELS`; the arguments are copied."""
        ...

    def view(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> object:
        """Something that `torch.as_tensor` takes without a copy."""
        ...


def parse(device: str) -> tuple[str, int]:
    """ "cpu", "cuda", "cuda:1" or "auto" as a kind and a number; ProviderError for anything else."""
    match = re.fullmatch(r"(cpu|auto)|(cuda)(?::(\d+))?", device)
    if match is None:
        raise ProviderError(f"device is {device!r}, it must be 'cpu', 'cuda', 'cuda:1' (and so on) or 'auto'")
    return match[1] or match[2], int(match[3] or 0)
