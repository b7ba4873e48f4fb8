"""An NVIDIA GPU as a `Device`, through the driver API. Imported only when a GPU is requested."""

from __future__ import annotations

import copy
import ctypes
import threading
import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import FluxpathError, OutOfMemoryError, ProviderError
from fluxpath.kernels import gpu
from fluxpath.runtime.device.base import Arguments
from fluxpath.runtime.device.staging import Staging

_UNTIMED = 2  # CU_EVENT_DISABLE_TIMING
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the default stream
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED
_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_STAGED = 1 << 16
"""Bytes of pinned memory per stream: room for several ticks' lists of slots."""

_this_thread = threading.local()


def cuda_device(number: int = 0) -> CudaDevice:
    """GPU `number` with a new stream; the devices of one GPU share its kernels. Raises ProviderError."""
    return _first(number).sibling()


@lru_cache(maxsize=16)
def _first(number: int) -> CudaDevice:
    try:
        return CudaDevice(number)
    except ProviderError:
        raise
    except FluxpathError as error:  # for example an old driver, or a device in exclusive use
        raise ProviderError(f"CUDA device {number} cannot be used ({error}): use device='cpu'") from error


class CudaDevice:
    """A stream in the device's primary context, which ONNX Runtime and torch use too.

    Work launched into a stream during a graph capture becomes part of the graph, so every explainer must have
    a separate stream.
    """

    kind = "cuda"

    def __init__(self, number: int = 0) -> None:
        self._driver = _driver()
        self.number = number
        try:
            self._call("cuInit", 0)
            count = int(self._call("cuDeviceGetCount"))
        except Exception as error:  # the bindings raise RuntimeError if libcuda is missing
            raise ProviderError(
                f"no NVIDIA driver answers here ({error}): install one, or use device='cpu'"
            ) from error
        if number >= count:
            raise ProviderError(f"there is no CUDA device {number} here, it has {count}: use device='cpu'")
        handle = self._call("cuDeviceGet", number)
        self._context = self._call("cuDevicePrimaryCtxRetain", handle)
        self._set_current, self._launch = self._driver.cuCtxSetCurrent, self._driver.cuLaunchKernel
        self._enter()
        attribute = self._driver.CUdevice_attribute
        major, minor = (
            int(self._call("cuDeviceGetAttribute", attribute(a), handle)) for a in (_MAJOR, _MINOR)
        )
        self.arch = f"sm_{major}{minor}"
        self._take(self._new_streams())
        self._free_streams = [(self._stream, self._staging, self._beside, self._marked)]
        code = np.frombuffer(gpu.cubin(self.arch), np.uint8)
        self._module = self._call("cuModuleLoadData", code.ctypes.data)
        self._kernels = {k: self._call("cuModuleGetFunction", self._module, k.encode()) for k in gpu.KERNELS}

    def sibling(self) -> CudaDevice:
        """The same device with a stream that no sibling uses: a free one (first this one's) or a new one."""
        other = copy.copy(self)
        self._enter()
        free = self._free_streams
        streams = free.pop() if free else self._new_streams()
        other._take(streams)
        # Never destroyed: a session of ONNX Runtime or torch can outlive this object briefly.
        weakref.finalize(other, free.append, streams)
        return other

    def allocate(self, size: int) -> int:
        """See `Device`."""
        self._enter()
        address = self._call("cuMemAlloc", size)
        self._call("cuMemsetD8Async", address, 0, size, self._stream)
        return int(address)

    def free(self, address: int) -> None:
        """See `Device`; waits for the stream first."""
        self._enter()
        self._call("cuStreamSynchronize", self._stream)
        self._call("cuMemFree", address)

    def used(self) -> int:
        """See `Device`."""
        self._enter()
        free, total = self._call("cuMemGetInfo")
        return int(total) - int(free)

    def pinned(self, size: int) -> npt.NDArray[np.uint8]:
        """See `Device`."""
        self._enter()
        array, address = self._pinned(size)
        weakref.finalize(array, self._free_pinned, address)
        return array

    def upload(self, address: int, source: npt.NDArray[Any]) -> None:
        """See `Device`; a small array, such as a list of slots, is staged and needs no wait."""
        self._enter()
        if self._staging.fits(source.nbytes):
            if (staged := self._staging.place(source)) is None:
                self._wait()
                staged = self._staging.place(source)
            self._call("cuMemcpyHtoDAsync", address, staged, source.nbytes, self._stream)
            return
        self._call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, self._stream)
        # The source can be pinned memory, which the driver reads later. Images are in pageable memory, which
        # the driver copies before it returns, but it does not guarantee that for every size.
        self._wait()

    def download(self, target: npt.NDArray[Any], address: int) -> None:
        """See `Device`."""
        self._enter()
        to = target.__array_interface__["data"][0]  # several times as fast as `target.ctypes.data`
        self._call("cuMemcpyDtoHAsync", to, address, target.nbytes, self._stream)
        self._wait()

    def mark(self) -> None:
        """See `Device`."""
        self._enter()
        self._call("cuEventRecord", self._marked, self._stream)

    def send(self, address: int, source: npt.NDArray[Any]) -> None:
        """See `Device`."""
        self._enter()
        self._call("cuStreamWaitEvent", self._beside, self._marked, 0)
        self._call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, self._beside)
        self._call("cuStreamSynchronize", self._beside)

    def fetch(self, target: npt.NDArray[Any], address: int) -> None:
        """See `Device`."""
        self._enter()
        self._call("cuStreamWaitEvent", self._beside, self._marked, 0)
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, address, target.nbytes, self._beside)
        self._call("cuStreamSynchronize", self._beside)

    def copy(self, to: int, source: int, size: int) -> None:
        """See `Device`."""
        self._enter()
        self._call("cuMemcpyDtoDAsync", to, source, size, self._stream)

    def launch(self, kernel: str, grid: tuple[int, int], arguments: Sequence[ctypes._CDataType]) -> None:
        """See `Device`."""
        self._enter()
        given = arguments if isinstance(arguments, Arguments) else Arguments(arguments)
        x, y = grid
        address = ctypes.addressof(given.addresses)
        # Not through _call, which costs as much as the driver itself in the launches of every tick.
        (error, *_) = self._launch(
            self._kernels[kernel], x, y, 1, gpu.THREADS, 1, 1, 0, self._stream, address, 0
        )
        if error:
            raise _failure("cuLaunchKernel", error)

    def view(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> object:
        """See `Device`."""
        return _View(address, shape, dtype)

    def _wait(self) -> None:
        """Wait for all work in the stream."""
        self._call("cuStreamSynchronize", self._stream)
        self._staging.done()

    def _new_streams(self) -> _Streams:
        """A stream with its staging memory, which must live as long for copies that are still running."""
        stream, beside = (self._call("cuStreamCreate", _NON_BLOCKING) for _ in range(2))
        return stream, Staging(self._pinned(_STAGED)[0]), beside, self._call("cuEventCreate", _UNTIMED)

    def _take(self, streams: _Streams) -> None:
        self._stream, self._staging, self._beside, self._marked = streams
        self.stream = int(self._stream)

    def _pinned(self, size: int) -> tuple[npt.NDArray[np.uint8], int]:
        address = int(self._call("cuMemHostAlloc", size, 0))
        memory: Any = (ctypes.c_uint8 * size).from_address(address)
        return np.frombuffer(memory, np.uint8), address

    def _free_pinned(self, address: int) -> None:
        self._enter()
        self._call("cuMemFreeHost", address)

    def _enter(self) -> None:
        """Make the context current in this thread; another library can have set a different one."""
        (error, *_) = self._set_current(self._context)
        if error:
            raise _failure("cuCtxSetCurrent", error)
        if not getattr(_this_thread, "relaxed", False):
            # While ONNX Runtime captures, allocations fail in all other threads that are not relaxed.
            self._call("cuThreadExchangeStreamCaptureMode", self._driver.CUstreamCaptureMode(_RELAXED))
            _this_thread.relaxed = True

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._driver, name)(*arguments)
        if error:
            raise _failure(name, error)
        if len(results) > 1:
            return results
        return results[0] if results else None


_Streams = tuple[Any, Staging, Any, Any]
"""The stream of the launched work, its staging memory, the stream of `send` and `fetch`, and the mark."""


def _failure(name: str, error: Any) -> FluxpathError:
    kind = OutOfMemoryError if int(error) == _OUT_OF_MEMORY else FluxpathError
    return kind(f"CUDA failed: {name} says {error.name}")


class _View:
    def __init__(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.__cuda_array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": dtype.str,
            "strides": None,
            "version": 3,
        }


def _driver() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise ProviderError(
            "a CUDA device needs cuda-core and its cuda-bindings, which are not installed: "
            'pip install "fluxpath[cuda]"'
        ) from error
    return driver
