"""NVIDIA's driver as one that only takes notes: what talks to it runs without a GPU."""

from __future__ import annotations

import ctypes
import enum


class Result(enum.IntEnum):
    SUCCESS = 0
    OUT_OF_MEMORY = 2


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
            return (self.error, self.answers[name]) if name in self.answers else (self.error, name)

        return call

    def names(self):
        return [name for name, _ in self.calls]
