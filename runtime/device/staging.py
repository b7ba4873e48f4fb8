"""Pinned host memory for small arrays on their way to a device, so that the host need not wait."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 16


class Staging:
    """Hands out consecutive pieces of `memory`; `done` makes all of it free again.

    A copy from pageable memory makes the host wait for all earlier work in the stream, such as the gradient
    graph. A copy from pinned memory does not, but its source must not change until the copy is done.
    """

    def __init__(self, memory: npt.NDArray[np.uint8]) -> None:
        self._memory = memory
        self._used = 0

    def place(self, source: npt.NDArray[np.generic]) -> int | None:
        """Copy a contiguous array into the memory and return its address; None if there is no room now."""
        start, end = self._used, self._used + source.nbytes
        if end > len(self._memory):
            return None
        self._memory[start:end] = source.reshape(-1).view(np.uint8)
        self._used = -(-end // _ALIGNMENT) * _ALIGNMENT
        return int(self._memory.ctypes.data) + start

    def fits(self, size: int) -> bool:
        """Whether `size` bytes fit once all copies are done."""
        return size <= len(self._memory)

    def done(self) -> None:
        """Free the memory; call it after waiting for all copies."""
        self._used = 0
