"""Drivers and devices that are not there."""

from __future__ import annotations

import sys
import types

import pytest

from fluxpath.errors import ProviderError
from fluxpath.runtime.device import cuda


def fake_driver(monkeypatch, count):
    """A driver that finds `count` devices, or does not answer where that is None."""

    def init(flags):
        if count is None:
            raise RuntimeError("libcuda.so.1 was not found")
        return (0,)

    driver = types.SimpleNamespace(cuInit=init, cuDeviceGetCount=lambda: (0, count))
    monkeypatch.setattr(cuda, "_driver", lambda: driver)


def test_a_driver_or_device_that_is_not_there(monkeypatch):
    fake_driver(monkeypatch, None)
    with pytest.raises(ProviderError, match=r"no NVIDIA driver answers here \(libcuda.so.1 was not found\)"):
        cuda.CudaDevice()
    fake_driver(monkeypatch, 1)
    with pytest.raises(ProviderError, match="there is no CUDA device 2 here, it has 1"):
        cuda.CudaDevice(2)


def test_bindings_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ProviderError, match=r'not installed: pip install "fluxpath\[cuda\]"'):
        cuda.CudaDevice()
