"""Small copies to a device go by way of pinned memory, and nobody waits for them."""

from __future__ import annotations

import ctypes

import numpy as np
from sessions import FEATURES, LinearSession, some_images

from fluxpath.runtime import MFABA, InputXGradient, IntegratedGradients
from fluxpath.runtime.backends.on_device import DeviceSession
from fluxpath.runtime.device import cuda
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.device.staging import Staging
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request


def at(address, like):
    """What lies there."""
    memory = (ctypes.c_uint8 * like.nbytes).from_address(address)
    return np.frombuffer(memory, like.dtype).reshape(like.shape)


def test_pieces_stay_as_they_are_until_all_copies_are_done():
    staging = Staging(np.zeros(64, np.uint8))
    arrays = [np.arange(k, k + 5, dtype=np.int32) for k in range(2)]
    places = [staging.place(a) for a in arrays]
    assert staging.place(np.zeros(1, np.uint8)) is None
    for place, array in zip(places, arrays, strict=True):
        np.testing.assert_array_equal(at(place, array), array)
        assert (place - places[0]) % 16 == 0
    assert staging.fits(64) and not staging.fits(65)
    staging.done()
    assert staging.place(arrays[1]) == places[0]


def copied(driver):
    return [given for name, given in driver.calls if name == "cuMemcpyHtoDAsync"]


def test_a_small_array_may_change_at_once(driver):
    device, array = cuda.CudaDevice(), np.arange(6, dtype=np.int64).reshape(2, 3)
    driver.calls.clear()
    device.upload(4096, array)
    array[:] = 7
    assert "cuStreamSynchronize" not in driver.names()
    [(to, source, size, stream)] = copied(driver)
    assert (to, size, stream) == (4096, 48, 77)
    assert at(source, array).ravel().tolist() == list(range(6))


def test_a_full_memory_and_a_large_array_are_waited_for(driver):
    device = cuda.CudaDevice()
    half = np.ones(cuda._STAGED // 2, np.uint8)
    driver.calls.clear()
    for _ in range(2):
        device.upload(4096, half)
    assert "cuStreamSynchronize" not in driver.names()
    device.upload(4096, half)
    assert driver.names()[-3:] == ["cuCtxSetCurrent", "cuStreamSynchronize", "cuMemcpyHtoDAsync"]
    sources = [given[1] for given in copied(driver)]
    assert sources[2] == sources[0] != sources[1]
    large = np.ones(cuda._STAGED + 1, np.uint8)
    device.upload(4096, large)
    assert driver.names()[-1] == "cuStreamSynchronize" and copied(driver)[-1][1] == large.ctypes.data


def test_streams_do_not_share_their_memory(driver):
    device, array = cuda.CudaDevice(), np.ones(4, np.uint8)
    siblings = [device.sibling(), device.sibling()]
    for sibling in siblings:
        sibling.upload(4096, array)
    one, other = (given[1] for given in copied(driver))
    assert one != other


class OnTheDriver(DeviceSession, LinearSession):
    """A session whose evaluation is a note."""

    def __init__(self, driver):
        super().__init__()
        self.device, self._driver = cuda.CudaDevice(), driver

    def bind(self, lanes):
        self.lanes = lanes

    def run(self, count):
        self.lanes.changed()
        self._driver.calls.append(("graph", (count,)))


def test_nothing_waits_between_the_gradient_graph_and_the_last_launch(driver):
    """Methods that take turns at the lists of slots and weights, so that every one is sent anew."""
    session = OnTheDriver(driver)
    engine = Engine(session, DeviceLanes(session.device, 8, (FEATURES,), 0.0, 1.0))
    for method in (MFABA(), IntegratedGradients(steps=3), InputXGradient()):
        engine.add(Request(some_images(1), np.array([1]), method))
    for _ in range(3):
        driver.calls.clear()
        engine.tick()
        names = driver.names()
        last = max(place for place, name in enumerate(names) if name == "cuLaunchKernel")
        between = names[names.index("graph") + 1 : last]
        assert between.count("cuMemcpyHtoDAsync") >= 3 and between.count("cuLaunchKernel") >= 6
        assert "cuStreamSynchronize" not in between
        assert "cuStreamSynchronize" in names[last:]
