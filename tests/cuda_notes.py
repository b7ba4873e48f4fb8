"""NVIDIA's driver as one that only takes notes: what talks to it runs without a GPU."""

from __future__ import annotations

import ctypes
import enum


class Result(enum.IntEnum):
    SUCCESS = 0
    INVALID_VALUE = 1
    OUT_OF_MEMORY = 2
    NO_BINARY = 209


class Driver:
    """Every function by name; `answers` are their results, `calls` their names and arguments.

    Host memory is real, and zero; nothing is ever copied.
    """

    def __init__(self) -> None:
        self.calls = []
        self.memory = []
        self.answers = {
            "cuDeviceGetCount": 2,
            "cuDeviceGetAttribute": 9,
            "cuStreamCreate": 77,
            "cuMemAlloc": 4096,
            "cuMemGetInfo": (3000, 10_000),
        }
        self.error = Result.SUCCESS

    CUdevice_attribute = staticmethod(int)
    CUstreamCaptureMode = staticmethod(int)

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append((name, arguments))
            if name == "cuMemHostAlloc":
                self.memory.append((ctypes.c_uint8 * arguments[0])())
                return self.error, ctypes.addressof(self.memory[-1])
            answer = self.answers.get(name, name)
            return (self.error, *answer) if isinstance(answer, tuple) else (self.error, answer)

        return call

    def names(self):
        return [name for name, _ in self.calls]
