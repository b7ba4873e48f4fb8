"""Devices to run the CUDA kernels on: their source on the CPU, and a GPU if there is one."""

from __future__ import annotations

import pytest
from cuda_on_cpu import HostDevice

from fluxpath.errors import FluxpathError


def real_gpu():
    try:
        from fluxpath.runtime.device.cuda import cuda_device

        return cuda_device()
    except FluxpathError as error:
        pytest.skip(f"needs an NVIDIA GPU: {error}")


@pytest.fixture(params=["cpu", "reversed", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    return real_gpu() if request.param == "gpu" else HostDevice(reversed=request.param == "reversed")
