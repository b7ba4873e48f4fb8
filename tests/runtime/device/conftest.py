"""The driver that takes notes, in the place of NVIDIA's."""

from __future__ import annotations

import threading

import pytest
from cuda_notes import Driver

from fluxpath.kernels import gpu
from fluxpath.runtime.device import cuda


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(cuda, "_driver", lambda: driver)
    monkeypatch.setattr(gpu, "cubin", lambda arch: arch.encode())
    monkeypatch.setattr(cuda, "_this_thread", threading.local())
    return driver
