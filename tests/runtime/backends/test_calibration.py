"""How many slots are chosen at load, by a clock and a memory of the test's own."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import FEATURES, DeviceLinear, LinearSession

from fluxpath import slots as default
from fluxpath.errors import InputError, OutOfMemoryError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.calibration import suitable_slots
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Lanes


class Timed(LinearSession):
    """A session that takes `cost(count)` seconds of a clock of its own."""

    def __init__(self, cost):
        super().__init__()
        self.cost, self.clock = cost, 0.0

    def run(self, count):
        self.clock += self.cost(count)


@pytest.mark.parametrize(
    ("cost", "slots"),
    [
        (lambda n: n, 1),
        (lambda n: 8 + n, 128),
        (lambda n: 1 + n + max(0, n - 32) * 9, 16),
        (lambda n: 1, 256),
    ],
)
def test_auto_slots_are_the_fewest_that_are_about_as_fast_as_any(monkeypatch, cost, slots):
    session = Timed(lambda n: 1e-4 * cost(n))
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    assert suitable_slots(session, lambda n: Lanes(n, (FEATURES,), 0.0, 1.0)) == slots


def test_what_a_first_evaluation_prepares_does_not_count(monkeypatch):
    seen = []
    session = Timed(lambda n: 1e-3 if n in seen else seen.append(n) or 5.0)
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    assert suitable_slots(session, lambda n: Lanes(n, (FEATURES,), 0.0, 1.0)) == 256


def test_auto_slots_respect_the_memory(monkeypatch):
    session, taken = Timed(lambda n: 1e-4), [0]
    bound = session.bind
    session.bind = lambda lanes: (taken.__setitem__(0, 1000 * lanes.slots), bound(lanes))
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    session.used = lambda: taken[0]

    def lanes(n):
        return Lanes(n, (FEATURES,), 0.0, 1.0)

    for memory, slots in ((1000, 1), (9000, 8), (17_000, 16)):
        taken[0] = 0
        assert suitable_slots(session, lanes, memory) == slots
    taken[0] = 0
    with pytest.raises(InputError, match="one slot of this model takes 1000"):
        suitable_slots(session, lanes, 999)


def test_an_explainer_has_the_default(graph, monkeypatch):
    with Explainer(graph("smooth")) as explainer:
        assert explainer.slots == 32
        images = np.full((40, *explainer.shape), 0.5, np.float32)
        expected = explainer.attribute(images).values
    monkeypatch.setattr(default, "SUITABLE", 5 * 36)
    with Explainer(graph("smooth"), threads=2) as explainer:
        assert explainer.slots == 10
        assert np.allclose(explainer.attribute(images).values, expected, atol=1e-7)
    device = HostDevice()
    with Explainer.from_session(
        OnnxDeviceSession(graph("smooth"), device, Options(providers=opening.CPU))
    ) as explainer:
        assert explainer.slots == 32


def test_an_explainer_chooses_its_slots(graph):
    with Explainer(graph("smooth"), slots="auto") as explainer:
        assert 1 <= explainer.slots <= 256
        assert len(explainer.attribute(np.full((3, *explainer.shape), 0.5, np.float32))) == 3


def test_the_number_of_slots_is_chosen_by_whole_evaluations(graph):
    """Not by how soon they are launched."""
    device = HostDevice()
    session = OnnxDeviceSession(graph("smooth"), device, Options(providers=opening.CPU, threads=1))
    runs = []
    run = session.run
    session.run = lambda count: runs.append(count) or run(count)
    suitable_slots(session, lambda n: DeviceLanes(device, n, session.manifest.shape, 0.0, 1.0))
    assert sum(name == "download" for name, _ in device.log) == len(runs) >= 6


@pytest.fixture
def timed(monkeypatch):
    """A session on a device, any evaluation of which takes as long as any other."""
    session, clock = DeviceLinear(), [0.0]

    def run(count):
        clock[0] += 1e-4

    session.run = run
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("fluxpath.runtime.backends.base.GradientSession.used", lambda self: 1 / 0)
    return session


@pytest.mark.parametrize(("room", "slots"), [(1.5, 1), (9, 8), (17.5, 16), (0.5, None)])
def test_auto_slots_respect_the_devices_memory(timed, room, slots):
    """What the backend keeps there counts; what was there before does not, nor the host's memory."""
    device, bind, before, each = timed.device, timed.bind, 2**30, 2**20
    device.others = before

    def bound(lanes):
        bind(lanes)
        device.others = max(device.others, before + each * lanes.slots)

    def lanes(n):
        return DeviceLanes(device, n, (FEATURES,), 0.0, 1.0)

    timed.bind = bound
    if slots is None:
        with pytest.raises(InputError, match="one slot of this model takes 10"):
            suitable_slots(timed, lanes, int(room * each))
    else:
        assert suitable_slots(timed, lanes, int(room * each)) == slots


def test_auto_slots_end_where_the_device_has_no_memory_for_the_arrays(timed):
    def lanes(n):
        if n > 8:
            raise OutOfMemoryError("CUDA failed: cuMemAlloc says CUDA_ERROR_OUT_OF_MEMORY")
        return DeviceLanes(timed.device, n, (FEATURES,), 0.0, 1.0)

    assert suitable_slots(timed, lanes) == 8
