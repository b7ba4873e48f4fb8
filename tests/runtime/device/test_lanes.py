"""When the host waits for a device: not before a lane may have ended."""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import FEATURES, DeviceLinear, LinearSession, some_images

from fluxpath.errors import InputError, OutOfMemoryError
from fluxpath.runtime import (
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    InputXGradient,
    IntegratedGradients,
    NeFLAG,
    SmoothGrad,
    Status,
)
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.calibration import suitable_slots
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Fresh


def downloads(path, method, images, target=1):
    """How many copies to the host each tick of one request makes."""
    device = HostDevice()
    session = OnnxDeviceSession(path, device, Options(providers=opening.CPU, threads=1))
    engine = Engine(session, DeviceLanes(device, 4, session.manifest.shape, 0.0, 1.0))
    engine.add(Request(images, np.full(len(images), target), method))
    ticks = []
    while engine.busy:
        device.log.clear()
        engine.tick()
        ticks.append(sum(name == "download" for name, _ in device.log))
    return ticks


@pytest.mark.parametrize("method", [MFABA(), MFABA(ascent="smooth", path="norm"), MFABA(rule="left")])
def test_the_first_step_of_a_walk_is_not_waited_for(graph, method):
    ticks = downloads(graph("smooth"), method, models.images("smooth", 1))
    assert len(ticks) >= 2
    assert ticks[0] == 0 and all(ticks[1:])


def test_samples_that_begin_together_are_not_waited_for(graph):
    ticks = downloads(graph("smooth"), NeFLAG(n=4, max_steps=3), models.images("smooth", 1), target=-1)
    # The image itself goes first, for the target; its end is one evaluation away.
    assert ticks[0] > 0 and ticks[1] == 0 and all(ticks[2:])


@pytest.mark.parametrize("method", [InputXGradient(), MFABA(path="cosine")])
def test_whatever_may_end_or_is_read_is_waited_for(graph, method):
    assert all(downloads(graph("smooth"), method, models.images("smooth", 2)))


def test_lanes_of_other_ages_are_seen_in_time(graph):
    """More lanes than slots: those that go on hold up nobody who ended, and nobody is evaluated once more."""
    images = models.images("smooth", 11)
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    counts = []
    run = session.run
    session.run = lambda count: counts.append(count) or run(count)
    with Explainer.from_session(session, slots=4) as there, Explainer(graph("smooth"), threads=1) as here:
        given, expected = there.attribute(images), here.attribute(images)
    np.testing.assert_array_equal(given.steps, expected.steps)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
    assert sum(counts) == (given.steps + 1).sum()


def test_the_number_of_slots_is_chosen_by_whole_evaluations(graph):
    """Not by how soon they are launched."""
    device = HostDevice()
    session = OnnxDeviceSession(graph("smooth"), device, Options(providers=opening.CPU, threads=1))
    runs = []
    run = session.run
    session.run = lambda count: runs.append(count) or run(count)
    suitable_slots(session, lambda n: DeviceLanes(device, n, session.manifest.shape, 0.0, 1.0))
    assert sum(name == "download" for name, _ in device.log) == len(runs) >= 6


@pytest.mark.parametrize(
    "method",
    [MFABA(), MFABA(path="norm"), NeFLAG(n=3, max_steps=3), IntegratedGradients(steps=5), SmoothGrad(n=5)],
)
def test_the_kernels_are_launched_without_a_look_at_the_device(graph, method):
    """While the gradient graph runs; what the host reads it reads after the last launch."""
    device = HostDevice()
    session = OnnxDeviceSession(graph("smooth"), device, Options(providers=opening.CPU, threads=1))
    run = session.run
    session.run = lambda count: (run(count), device.log.append(("graph", count)))
    ticks = 0
    with Explainer.from_session(session, slots=3) as explainer:
        explainer.attribute(models.images("smooth", 2), method=method)
    names = [name for name, _ in device.log]
    while "graph" in names:
        names = names[names.index("graph") + 1 :]
        tick = names[: names.index("graph")] if "graph" in names else names
        advance = [place for place, name in enumerate(tick) if "_measure_" in name or "_move_" in name]
        if advance:
            ticks += 1
            assert "download" not in tick[: advance[-1]], tick
    assert ticks > 1


def test_numbers_of_lanes_are_known_without_a_look():
    device = HostDevice()
    lanes = DeviceLanes(device, 4, (6,), 0.0, 1.0)
    slots, numbers = (0, 1, 3), (7, 8, 9)
    lanes.fill([Fresh(s, x, -1, n) for s, x, n in zip(slots, some_images(3), numbers, strict=True)])
    lanes.rearrange({0: 3})
    lanes.rearrange({})
    device.log.clear()
    known = lanes.number[:]
    assert not device.log and known[:2].tolist() == [9, 8]
    _ = lanes.status[:]
    assert lanes.number[:].tolist() == known.tolist() and len(device.log) == 1


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


REFERENCES = np.random.default_rng(3).random((2, FEATURES)).astype(np.float32)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize(
    "method",
    [
        *(IntegratedGradients(steps=5), SmoothGrad(n=5), ExpectedGradients(REFERENCES, n=5)),
        *(LPI(REFERENCES, steps=2), NeFLAG(n=3, max_steps=4), MFABA(step_size=0.02)),
    ],
    ids=repr,
)
def test_the_end_of_a_lane_is_noticed_at_once(method, target):
    """It is evaluated as often as on the host, whatever its method reads on the way."""
    counts = []
    for session in (DeviceLinear(), LinearSession()):
        with Explainer.from_session(session, slots=4) as explainer:
            explainer.attribute(some_images(5), target, method)
        counts.append(sum(session.counts))
    assert counts[0] == counts[1]


def test_a_lane_that_ends_before_its_time_is_left_alone():
    """A gradient of zero ends a walk at once; the further evaluation, already under way, changes nothing."""
    sessions = DeviceLinear(), LinearSession()
    for session in sessions:
        session.weight[:] = 0
    with (
        Explainer.from_session(sessions[0], slots=2) as there,
        Explainer.from_session(sessions[1], slots=2) as here,
    ):
        for method in (MFABA(), MFABA(ascent="smooth"), NeFLAG(n=2)):
            given, expected = (e.attribute(some_images(3), 1, method) for e in (there, here))
            for name in ("target", "label", "steps", "status"):
                np.testing.assert_array_equal(getattr(given, name), getattr(expected, name))
            np.testing.assert_allclose(given.score, expected.score, rtol=1e-6)
            assert (given.status == Status.ZERO_GRADIENT).all() and not given.values.any()
