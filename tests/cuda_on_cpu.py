"""The CUDA kernels' own source, compiled for the CPU, as a device for tests without a GPU."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fluxpath.kernels import gpu

HERE = Path(__file__).resolve().parent


@functools.cache
def library() -> ctypes.CDLL:
    """Every kernel as emulate_NAME(arguments, x, y, reversed)."""
    names = "\n".join(
        f'extern "C" void emulate_{k}(void** given, unsigned x, unsigned y, bool reversed) '
        f"{{ emulate({k}, given, fluxpath::kThreads, x, y, reversed); }}"
        for k in gpu.KERNELS
    )
    source = f'#include "cuda_on_cpu.h"\n#include "lanes.cu"\n{names}\n'
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        path.write_text(source)
        flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing"]
        includes = [f"-I{p}" for p in (HERE, *gpu.INCLUDES)]
        subprocess.run(["g++", *flags, *includes, str(path), "-o", str(out)], check=True)
        return ctypes.CDLL(str(out))


class HostDevice:
    """A `Device` in numpy's memory; `log` counts launches and the bytes of copies.

    `others` is how much memory someone else has taken.
    """

    kind, number, stream = "cpu", 0, 0

    def __init__(self, reversed: bool = False) -> None:
        self.reversed = reversed
        self.memory: dict[int, np.ndarray] = {}
        self.log: list[tuple[str, int]] = []
        self.others = 0

    def allocate(self, size: int) -> int:
        array = np.zeros(size + 256, np.uint8)
        address = -(-array.ctypes.data // 256) * 256
        self.memory[address] = array
        return address

    def free(self, address: int) -> None:
        del self.memory[address]

    def used(self) -> int:
        return self.others + sum(array.nbytes for array in self.memory.values())

    def pinned(self, size: int) -> np.ndarray:
        return np.empty(size, np.uint8)

    def upload(self, address: int, source: np.ndarray) -> None:
        self._there("upload", address, source)

    def download(self, target: np.ndarray, address: int) -> None:
        self._back("download", target, address)

    def _there(self, name: str, address: int, source: np.ndarray) -> None:
        assert source.flags.c_contiguous
        self.log.append((name, source.nbytes))
        ctypes.memmove(address, source.ctypes.data, source.nbytes)

    def _back(self, name: str, target: np.ndarray, address: int) -> None:
        assert target.flags.c_contiguous
        self.log.append((name, target.nbytes))
        ctypes.memmove(target.ctypes.data, address, target.nbytes)

    def mark(self) -> None:
        self.log.append(("mark", 0))

    def send(self, address: int, source: np.ndarray) -> None:
        self._there("send", address, source)

    def fetch(self, target: np.ndarray, address: int) -> None:
        self._back("fetch", target, address)

    def copy(self, to: int, source: int, size: int) -> None:
        ctypes.memmove(to, source, size)

    def launch(self, kernel: str, grid: tuple[int, int], arguments: Sequence[Any]) -> None:
        self.log.append((kernel, grid[0] * grid[1]))
        given = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(a) for a in arguments))
        getattr(library(), f"emulate_{kernel}")(given, *grid, self.reversed)

    def view(self, address: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = int(np.prod(shape)) * dtype.itemsize
        memory = (ctypes.c_uint8 * size).from_address(address)
        return np.frombuffer(memory, dtype).reshape(shape)


class FakeCuda(HostDevice):
    """The same by the name of a GPU, for what is told to libraries and not run."""

    kind, stream = "cuda", 77
