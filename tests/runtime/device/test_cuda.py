"""The calls that go to NVIDIA's driver, on one that only takes notes: no GPU is needed."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import types

import numpy as np
import pytest
from cuda_notes import Result

from fluxpath.errors import FluxpathError, OutOfMemoryError, ProviderError
from fluxpath.kernels import gpu
from fluxpath.runtime.device import cuda


def test_the_device_takes_its_own_architecture_and_stream(driver):
    device = cuda.CudaDevice(1)
    assert (device.arch, device.stream, device.number, device.kind) == ("sm_99", 77, 1, "cuda")
    assert driver.names().count("cuModuleGetFunction") == len(gpu.KERNELS)


def test_explainers_on_one_device_have_streams_of_their_own(driver, monkeypatch):
    """A stream that is captured for one records what another launches into it."""
    cuda._first.cache_clear()
    try:
        one = cuda.cuda_device()
        driver.answers["cuStreamCreate"] = 78
        two = cuda.cuda_device()
        assert (one.stream, two.stream) == (77, 78)
        assert driver.names().count("cuModuleLoadData") == 1
        two.copy(1, 2, 3)
        assert driver.calls[-1] == ("cuMemcpyDtoDAsync", (1, 2, 3, 78))
        del one
        gc.collect()
        assert cuda.cuda_device().stream == 77
        assert driver.names().count("cuStreamCreate") == 4  # each has one more, for copies beside its work
    finally:
        cuda._first.cache_clear()


def test_a_thread_may_allocate_while_another_captures(driver):
    device = cuda.CudaDevice()
    device.allocate(1)
    thread = threading.Thread(target=device.allocate, args=(1,))
    thread.start()
    thread.join()
    modes = [given for name, given in driver.calls if name == "cuThreadExchangeStreamCaptureMode"]
    assert modes == [(2,), (2,)]


def test_a_launch_hands_over_the_addresses_of_its_arguments(driver):
    device = cuda.CudaDevice()
    arguments = (ctypes.c_int(5), ctypes.c_int64(6))
    device.launch("note_start", (3, 2), arguments)
    name, given = driver.calls[-1]
    assert name == "cuLaunchKernel"
    assert given[1:9] == (3, 2, 1, gpu.THREADS, 1, 1, 0, 77) and given[10] == 0


def test_memory_comes_zeroed_and_goes_back(driver):
    device = cuda.CudaDevice()
    assert device.allocate(100) == 4096
    assert driver.calls[-1] == ("cuMemsetD8Async", (4096, 0, 100, 77))
    device.free(4096)
    assert driver.names()[-2:] == ["cuStreamSynchronize", "cuMemFree"]
    pinned = device.pinned(16)
    view = pinned[4:8].view(np.int32)
    del pinned
    gc.collect()
    assert "cuMemFreeHost" not in driver.names()
    del view
    gc.collect()
    assert driver.names()[-1] == "cuMemFreeHost"


def test_copies_wait_where_the_host_reads(driver):
    device, array = cuda.CudaDevice(), np.zeros(4, np.float32)
    device.download(array, 4096)
    assert driver.names()[-2:] == ["cuMemcpyDtoHAsync", "cuStreamSynchronize"]
    device.upload(4096, array)
    device.copy(1, 2, 3)
    assert driver.calls[-1] == ("cuMemcpyDtoDAsync", (1, 2, 3, 77))
    view = device.view(4096, (2, 2), np.dtype(np.float32)).__cuda_array_interface__
    assert (view["data"], view["shape"], view["typestr"]) == ((4096, False), (2, 2), "<f4")


def test_an_error_is_named(driver):
    device = cuda.CudaDevice()
    driver.error = Result.OUT_OF_MEMORY
    with pytest.raises(OutOfMemoryError, match="CUDA failed: cuCtxSetCurrent says OUT_OF_MEMORY"):
        device.allocate(1)
    driver.error = Result.INVALID_VALUE
    with pytest.raises(FluxpathError, match="says INVALID_VALUE") as raised:
        device.allocate(1)
    assert not isinstance(raised.value, OutOfMemoryError)


def test_memory_in_use_is_whatever_is_not_free(driver):
    device = cuda.CudaDevice()
    assert device.used() == 7000
    assert driver.names()[-2:] == ["cuCtxSetCurrent", "cuMemGetInfo"]


def test_a_device_that_cannot_be_used_is_a_missing_one(driver, monkeypatch):
    """So that device="auto" goes on with the CPU."""
    cuda._first.cache_clear()
    load = driver.cuModuleLoadData

    def too_new(*arguments):
        load(*arguments)
        return (Result.NO_BINARY,)

    monkeypatch.setattr(driver, "cuModuleLoadData", too_new, raising=False)
    with pytest.raises(ProviderError, match=r"device 0 cannot be used \(CUDA .* says NO_BINARY"):
        cuda.cuda_device()


def test_the_bindings_have_every_function_that_is_called(driver):
    bindings = pytest.importorskip("cuda.bindings.driver", exc_type=ImportError)
    device, array = cuda.CudaDevice(), np.zeros(4, np.float32)
    for work in (
        lambda: device.free(device.allocate(1)),
        lambda: device.pinned(16),
        device.used,
        lambda: (device.upload(1, array), device.download(array, 1), device.copy(1, 2, 3)),
        lambda: (device.mark(), device.send(1, array), device.fetch(array, 1)),
        lambda: device.launch("note_start", (1, 1), ()),
    ):
        work()
    gc.collect()
    assert {name for name in driver.names() if not hasattr(bindings, name)} == set()


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


def test_copies_beside_the_work_wait_only_for_the_mark(driver):
    driver.answers["cuEventCreate"] = 99
    device, array = cuda.CudaDevice(), np.zeros(4, np.float32)
    device._beside = 78
    device.mark()
    assert driver.calls[-1] == ("cuEventRecord", (99, 77))
    for copy, name in (
        (lambda: device.send(4096, array), "cuMemcpyHtoDAsync"),
        (lambda: device.fetch(array, 4096), "cuMemcpyDtoHAsync"),
    ):
        copy()
        assert driver.calls[-3] == ("cuStreamWaitEvent", (78, 99, 0))
        assert driver.calls[-2][0] == name and driver.calls[-2][1][-1] == 78
        assert driver.calls[-1] == ("cuStreamSynchronize", (78,))
