"""Devices to run the CUDA kernels on: their source on the CPU, and a GPU if there is one."""

from __future__ import annotations

import pytest
from cuda_on_cpu import HostDevice
from gpus import need_one


def real_gpu():
    need_one()
    from fluxpath.runtime.device.cuda import cuda_device

    return cuda_device()


@pytest.fixture(params=["cpu", "reversed", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    return real_gpu() if request.param == "gpu" else HostDevice(reversed=request.param == "reversed")
