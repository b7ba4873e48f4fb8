"""Lanes on a device: what crosses over, and when the host waits for it."""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from on_devices import METHODS, compare
from sessions import FEATURES, DeviceLinear, LinearSession, some_images

from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    NeFLAG,
    SmoothGrad,
    Status,
)
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
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


WALKS = [AGI(classes=2, choice="top"), BIG(integration_steps=5), GuidedIG(steps=7)]
"""Without kernels of their own."""


def test_the_engine_gives_the_same_on_a_device():
    """More images than slots, so that lanes are refilled and moved."""
    with (
        Explainer.from_session(DeviceLinear(), slots=4) as there,
        Explainer.from_session(LinearSession(), slots=4) as here,
    ):
        futures = [
            (there.submit(images, method=m), here.submit(images, method=m))
            for k, m in enumerate([*METHODS, *WALKS])
            for images in [some_images(5, seed=k)]
        ]
        for given, expected in futures:
            compare(given.result(60), expected.result(60))


def test_a_tick_brings_one_small_block_to_the_host():
    session = DeviceLinear()
    lanes = DeviceLanes(session.device, 2, (6,), 0.0, 1.0)
    lanes.fill([Fresh(slot, image, -1, slot) for slot, image in enumerate(some_images(2))])
    lanes.gradient[:], lanes.scale[:], lanes.label[:] = 1.0, 1.0, 1
    method, slots = MFABA(), np.arange(2, dtype=np.int32)
    for tick in range(2):
        session.device.log.clear()
        lanes.changed()
        lanes.note_start(2)
        method.advance(lanes, slots)
        assert not np.flatnonzero(lanes.status[:2]).size and lanes.step[0] == tick + 1
        copies = [name for name, _ in session.device.log if name in ("upload", "download")]
        assert copies == (["upload", "download"] if tick == 0 else ["download"])
