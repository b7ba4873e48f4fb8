"""Images of many lanes on a device: added up there, to the bit as on the host, and one row comes down."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from dataclasses import dataclass

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import FEATURES, LinearSession, some_images

from fluxpath.errors import DeadlineError, OutOfMemoryError
from fluxpath.runtime import (
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    IntegratedGradients,
    NeFLAG,
    SmoothGrad,
    Status,
    opening,
)
from fluxpath.runtime.device_lanes import DeviceLanes
from fluxpath.runtime.device_session import OnnxDeviceSession
from fluxpath.runtime.engine import Engine
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.request import Request

RULES = ("trapezoid", "left", "right", "middle", "gauss-legendre")
VARIANTS = ("mean", "squared", "variance")
RNG = np.random.default_rng(5)
REFERENCES = RNG.random((3, FEATURES)).astype(np.float32)
STRAIGHT = [
    *(IntegratedGradients(steps=7, rule=rule) for rule in RULES),
    IntegratedGradients(steps=4, baseline=REFERENCES[0]),
    ExpectedGradients(REFERENCES, n=9, seed=2**33),
    LPI(REFERENCES, densities=[1.0, 2.0, 5.0], steps=4, seed=3),
    LPI(REFERENCES, rule="middle"),
]
METHODS = [
    *STRAIGHT,
    *(SmoothGrad(n=6, variant=variant, sigma=0.1) for variant in VARIANTS),
    SmoothGrad(n=1),
    NeFLAG(n=7, max_steps=5, stop="label", radius=0.05),
]
FIELDS = ("target", "label", "steps", "status", "score", "values")


class DeviceLinear(LinearSession):
    """The linear model, whose lanes live on a device."""

    def __init__(self, reversed: bool = False) -> None:
        super().__init__()
        self.device = HostDevice(reversed)


def bits(result, image=None):
    chosen = slice(None) if image is None else image
    return [getattr(result, field)[chosen].tobytes() for field in FIELDS]


@pytest.fixture
def added_by_the_host(monkeypatch):
    """From here on every lane's row is copied to the host, to be added there."""
    return lambda: monkeypatch.setattr(DeviceLanes, "gathering", Lanes.gathering)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("method", STRAIGHT, ids=repr)
def test_the_engine_gives_the_hosts_bits(method, target):
    """Where the lanes' own arithmetic is the same to the bit, on either, all of it is."""
    with (
        Explainer.from_session(DeviceLinear(), slots=4) as there,
        Explainer.from_session(LinearSession(), slots=4) as here,
    ):
        images = some_images(3)
        assert bits(there.attribute(images, target, method)) == bits(here.attribute(images, target, method))


@pytest.mark.parametrize("target", [None, 1])
def test_added_there_or_copied_and_added_here(added_by_the_host, target):
    """All methods at once, walks of one lane among them, so that lanes end late, early and moved."""

    def all_at_once():
        with Explainer.from_session(DeviceLinear(), slots=5) as explainer:
            company = [MFABA(step_size=0.02, max_steps=9), MFABA("smooth", step_size=0.01, max_steps=12)]
            futures = [explainer.submit(some_images(3, seed=k), target, m) for k, m in enumerate(METHODS)]
            futures += [explainer.submit(some_images(6, seed=9), None, m) for m in company]
            return [bits(future.result(120)) for future in futures]

    there = all_at_once()
    added_by_the_host()
    assert there == all_at_once()


@pytest.mark.parametrize("slots", [1, 3, 8, 40])
def test_batch_and_slots_change_no_bit(slots):
    methods, images = [IntegratedGradients(steps=5), SmoothGrad(n=5, variant="variance"), METHODS[-1]], 4
    with Explainer.from_session(DeviceLinear(), slots=1) as explainer:
        alone = [[bits(explainer.attribute(i, None, m), 0) for i in some_images(images)] for m in methods]
    with Explainer.from_session(DeviceLinear(reversed=True), slots=slots) as explainer:
        futures = [explainer.submit(some_images(images), None, m) for m in (MFABA(), *methods, MFABA())]
        for future, expected in zip(futures[1:-1], alone, strict=True):
            result = future.result(60)
            assert [bits(result, i) for i in range(images)] == expected


TERMS = np.array([1e8, 3, -1e8, 5, 7e7, 0.1, -7e7], np.float32)


@dataclass(frozen=True)
class Uneven:
    """Lanes whose float32 sum depends on its order, and who end in another one."""

    lanes: int = len(TERMS)
    starts_at_image: bool = True
    fails_at: int = -1

    def start(self, lanes, slots, numbers):
        pass

    def advance(self, lanes, slots):
        number, step = lanes.number[slots], lanes.step[slots] + 1
        if self.fails_at in step:
            raise ArithmeticError("as was to be shown")
        lanes.step[slots] = step
        lanes.sum[slots] = np.repeat(TERMS[number, None], FEATURES, 1)
        lanes.status[slots[step > 5 * number % 7]] = Status.COMPLETE


@dataclass(frozen=True)
class Largest(Uneven):
    """With a collector of its own."""

    def collector(self, features):
        return Maximum(features)


class Maximum:
    def __init__(self, features):
        self.values = np.full(features, -np.inf, np.float32)

    def add(self, values):
        self.values = np.maximum(self.values, values)

    def result(self):
        return self.values


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 50])
def test_lanes_of_different_length_are_added_in_their_order(slots):
    wanted = np.float32(0)
    for term in TERMS:
        wanted += term
    with Explainer.from_session(DeviceLinear(), slots=slots) as explainer:
        assert (explainer.attribute(some_images(4), None, Uneven()).values == wanted).all()
        assert (explainer.attribute(some_images(2), None, Largest()).values == TERMS.max()).all()


# --- what crosses over


def ticks(session, slots, *requests):
    """The device's log of each tick, until all are done."""
    engine = Engine(session, DeviceLanes(session.device, slots, session.manifest.shape, 0.0, 1.0))
    for request in requests:
        engine.add(request)
    logs = []
    while engine.busy:
        session.device.log.clear()
        engine.tick()
        logs.append(list(session.device.log))
    return logs


@pytest.mark.parametrize("target", [-1, 1])
def test_one_row_an_image_comes_down_and_a_tick_has_one_launch(graph, target):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), opening.CPU, 1)
    images, shape = models.images("smooth", 3), session.manifest.shape
    row, several = images[0].nbytes, np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    methods = [
        *(IntegratedGradients(steps=5, rule=rule) for rule in RULES),
        *(SmoothGrad(n=6, variant=variant) for variant in VARIANTS),
        ExpectedGradients(several, n=6),
        LPI(several, steps=3),
        NeFLAG(n=4),
        MFABA(),
    ]
    requests = [Request(images, np.full(3, target), method) for method in methods]
    logs = ticks(session, 7, *requests)
    downloads = [size for log in logs for name, size in log if name == "download"]
    assert row % 256, "else a row could be taken for the block of flags"
    assert downloads.count(row) == 3 * len(methods)
    assert {size for size in downloads if size != row} == {max(downloads)} and max(downloads) % 256 == 0
    for log in logs:
        names = [name for name, _ in log]
        assert max(names.count("add_sums"), names.count("add_moments")) <= 1
    assert all(r.future.result(0).values.any() for r in requests)


def test_a_tick_has_one_look_at_who_ended(graph):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), opening.CPU, 1)
    images = models.images("smooth", 2)
    for log in ticks(session, 4, Request(images, np.full(2, 1), IntegratedGradients(steps=5))):
        sizes = [size for name, size in log if name == "download" and size != images[0].nbytes]
        assert len(sizes) == 1


def test_images_that_end_lanes_in_the_same_tick_share_a_launch(graph):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), opening.CPU, 1)
    request = Request(models.images("smooth", 4), np.full(4, 1), IntegratedGradients(steps=3))
    logs = ticks(session, 8, request)
    assert [size for log in logs for name, size in log if name == "add_sums"] == [2, 2]


# --- rows that are given back


def used(engine):
    sums = engine._lanes._sums
    return sums.sums.used + sums.moments.used


def opened(slots, session=None):
    session = DeviceLinear() if session is None else session
    return Engine(session, DeviceLanes(session.device, slots, (FEATURES,), 0.0, 1.0)), session


def request(n, method, **options):
    return Request(some_images(n), np.full(n, -1), method, **options)


def drain(engine):
    for _ in range(10_000):
        if not engine.busy:
            return
        engine.tick()
    raise AssertionError("lanes that never end")


LONG = [IntegratedGradients(steps=9), SmoothGrad(n=9, variant="variance"), Uneven()]


@pytest.mark.parametrize("method", LONG, ids=repr)
@pytest.mark.parametrize("end", ["cancel", "deadline", "engine"])
def test_a_request_that_ends_before_its_time_gives_its_rows_back(method, end):
    engine, _ = opened(2)
    ending = request(3, method, deadline=time.monotonic() + 3600)
    engine.add(ending)
    for _ in range(5):
        engine.tick()
    assert used(engine) > 0
    if end == "cancel":
        assert ending.future.cancel()
    elif end == "deadline":
        ending.deadline = time.monotonic() - 1
    else:
        engine.fail(ArithmeticError("everything is to end"))
    drain(engine)
    with pytest.raises((CancelledError, DeadlineError, ArithmeticError)):
        ending.future.result(0)
    assert used(engine) == 0
    after = request(2, method)
    engine.add(after)
    drain(engine)
    assert len(after.future.result(0)) == 2 and used(engine) == 0


def test_a_request_cancelled_during_its_last_evaluation_gives_its_rows_back():
    engine, session = opened(4)
    ending = request(1, IntegratedGradients(steps=4))
    engine.add(ending)
    engine.tick()
    session.before_run = ending.future.cancel
    engine.tick()
    assert not engine.busy and used(engine) == 0


def test_a_method_or_collector_that_raises_gives_its_rows_back_and_harms_nobody():
    engine, _ = opened(6)
    failing, other = request(3, Uneven(fails_at=4)), request(3, IntegratedGradients(steps=8))
    for one in (failing, other):
        engine.add(one)
    drain(engine)
    with pytest.raises(ArithmeticError, match="as was to be shown"):
        failing.future.result(0)
    with Explainer.from_session(LinearSession(), slots=6) as here:
        expected = here.attribute(some_images(3), None, IntegratedGradients(steps=8))
    assert bits(other.future.result(0)) == bits(expected)
    assert used(engine) == 0


@pytest.mark.parametrize("variant", ["mean", "variance"])
def test_lanes_that_are_not_finite(variant):
    engine, session = opened(3)
    evaluate = session.evaluate

    def broken(point, target=-1):
        score, label, gradient = evaluate(point, target)
        return score, label, gradient * (np.nan if len(session.points) > 8 else 1)

    session.evaluate = broken
    ending = request(2, SmoothGrad(n=6, variant=variant))
    engine.add(ending)
    drain(engine)
    result = ending.future.result(0)
    broken = result.status == Status.NON_FINITE
    assert broken.any() and not result.values[broken].any()
    assert used(engine) == 0


def test_out_of_memory_for_an_evaluation_changes_no_bit_and_loses_no_row():
    engine, session = opened(8)
    room = [8, 8, 5, 3]

    def cramped(count):
        if count > room[0]:
            raise OutOfMemoryError(f"no memory for {count} slots")
        if len(room) > 1:
            room.pop(0)
        return run(count)

    run, session.run = session.run, cramped
    requests = [request(3, method) for method in LONG]
    for one in requests:
        engine.add(one)
    drain(engine)
    assert engine._limit < 8 and used(engine) == 0
    with Explainer.from_session(DeviceLinear(), slots=8) as there:
        for one, method in zip(requests, LONG, strict=True):
            assert bits(one.future.result(0)) == bits(there.attribute(some_images(3), None, method))


def test_no_memory_for_an_images_row_is_that_requests_alone():
    engine, session = opened(4)
    allocate, fine = session.device.allocate, request(2, MFABA())

    def full(size):
        raise OutOfMemoryError("the device has no memory left")

    session.device.allocate = full
    failing = request(2, IntegratedGradients(steps=4))
    for one in (failing, fine):
        engine.add(one)
    drain(engine)
    with pytest.raises(OutOfMemoryError, match="no memory left"):
        failing.future.result(0)
    assert len(fine.future.result(0)) == 2 and used(engine) == 0
    session.device.allocate = allocate
    again = request(2, IntegratedGradients(steps=4))
    engine.add(again)
    drain(engine)
    assert len(again.future.result(0)) == 2


@pytest.mark.parametrize("target", [-1, 1])
def test_many_images_take_turns_in_few_rows(target):
    engine, session = opened(4)
    many = Request(some_images(60), np.full(60, target), IntegratedGradients(steps=6))
    allocated = len(session.device.memory)
    engine.add(many)
    most = 0
    while engine.busy:
        engine.tick()
        most = max(most, used(engine))
    assert 0 < most <= 2 * 4 + 1
    assert len(session.device.memory) == allocated + 1


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_no_row_is_lost(seed):
    """Requests that come, are cancelled, fail, are late, in random order, with fewer and fewer slots."""
    rng = np.random.default_rng(seed)
    engine, session = opened(6)
    requests = []
    for _ in range(60):
        action = rng.choice(["add", "add", "tick", "tick", "tick", "cancel", "late", "fails"])
        if action == "tick":
            engine.tick()
        elif action == "cancel" and requests:
            chosen = requests[rng.integers(len(requests))]
            session.before_run = chosen.future.cancel if rng.integers(2) else session.before_run
            chosen.future.cancel()
        else:
            method = Uneven(fails_at=5) if action == "fails" else METHODS[rng.integers(len(METHODS))]
            requests.append(request(int(rng.integers(1, 4)), method))
            if action == "late":
                requests[-1].deadline = time.monotonic() + 0.05
            engine.add(requests[-1])
    drain(engine)
    assert all(r.over for r in requests) and used(engine) == 0
