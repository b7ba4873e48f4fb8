"""Reads the rows of an array in the .npy format from an open file, one after the other."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Rows:
    """The array that begins where `file` stands, read as it is asked for: a header takes no memory.

    shape, dtype: of the whole array. Raises ValueError unless it has `least` dimensions or more and one of
    the `kinds` of numbers (numpy's letters), in C order.
    """

    def __init__(self, file: IO[bytes], kinds: str = "biuf", least: int = 2) -> None:
        self._file = file
        shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        if dtype.kind not in kinds or fortran or len(shape) < least:
            raise ValueError(f"its array is {dtype} {list(shape)}, and must be rows of numbers in C order")
        self.shape: tuple[int, ...] = shape
        self.dtype = dtype

    def read(self, count: int = 1) -> npt.NDArray[Any]:
        """The next `count` rows, read-only; ValueError if the file ends before."""
        size = self.size_of(count)
        content = self._file.read(size)
        if len(content) != size:
            raise ValueError("its array is truncated")
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def size_of(self, count: int) -> int:
        """What so many rows take, in bytes."""
        return count * math.prod(self.shape[1:]) * self.dtype.itemsize
