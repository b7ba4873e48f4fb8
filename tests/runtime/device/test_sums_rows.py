"""The rows in which images of many lanes are gathered on a device: few, and given back whatever happens."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
from sessions import FEATURES, DeviceLinear, LinearSession, some_images
from uneven import Uneven

from fluxpath.errors import DeadlineError, OutOfMemoryError
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, NeFLAG, SmoothGrad, Status
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request


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
    engine, session = opened(6)  # more than it has lanes: it has left the queue
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
    assert other.future.result(0).values.tobytes() == expected.values.tobytes()
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
            expected = there.attribute(some_images(3), None, method)
            assert one.future.result(0).values.tobytes() == expected.values.tobytes()


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
    requests, methods = [], [*LONG, SmoothGrad(n=4), NeFLAG(n=7, max_steps=5), MFABA()]
    for _ in range(60):
        action = rng.choice(["add", "add", "tick", "tick", "tick", "cancel", "late", "fails"])
        if action == "tick":
            engine.tick()
        elif action == "cancel" and requests:
            chosen = requests[rng.integers(len(requests))]
            session.before_run = chosen.future.cancel if rng.integers(2) else session.before_run
            chosen.future.cancel()
        else:
            method = Uneven(fails_at=5) if action == "fails" else methods[rng.integers(len(methods))]
            requests.append(request(int(rng.integers(1, 4)), method))
            if action == "late":
                requests[-1].deadline = time.monotonic() + 0.05
            engine.add(requests[-1])
    drain(engine)
    assert all(r.over for r in requests) and used(engine) == 0
