"""Whether there is a GPU: only where there is none may a test for one be skipped."""

from __future__ import annotations

import ctypes
import functools

import pytest


@functools.cache
def present() -> bool:
    """Whether NVIDIA's driver is here and starts."""
    try:
        return ctypes.CDLL("libcuda.so.1").cuInit(0) == 0
    except OSError:
        return False


def need_one() -> None:
    """Skip the test if there is none."""
    if not present():
        pytest.skip("needs an NVIDIA GPU")
