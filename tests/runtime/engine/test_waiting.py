"""Whose turn it is, and what happens to those who cancel, come too late, fail or do not fit."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, wait
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import FEATURES, LinearSession, some_images

from fluxpath.errors import DeadlineError, InputError, OutOfMemoryError
from fluxpath.runtime import (
    MFABA,
    Explainer,
    Method,
    Status,
)
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Lanes

SHARP = MFABA("sharp", step_size=0.02, max_steps=12)


@dataclass(frozen=True)
class Walk(Method):
    """Notes each lane it starts; a lane's sum is its number plus one after `length` evaluations."""

    name: int
    started: list
    length: int = 1
    lanes: int = 1
    starts_at_image: bool = True
    fails_at: int = -1

    def __hash__(self):
        return self.name

    def start(self, lanes, slots, numbers):
        self.started.extend((self.name, int(n)) for n in numbers)

    def advance(self, lanes, slots):
        if self.fails_at in lanes.step[slots]:
            raise ArithmeticError(f"walk {self.name}")
        lanes.step[slots] += 1
        lanes.sum[slots] = lanes.number[slots, None] + 1
        lanes.status[slots[lanes.step[slots] >= self.length]] = Status.COMPLETE


def engine(slots, session=None):
    session = LinearSession() if session is None else session
    return Engine(session, Lanes(slots, (FEATURES,), 0.0, 1.0))


def request(n, method, **options):
    return Request(some_images(n), np.full(n, -1), method, **options)


def drain(running, limit=10_000):
    for _ in range(limit):
        if not running.busy:
            return
        running.tick()
    raise AssertionError("lanes that never end")


# --- fairness


@pytest.mark.parametrize("others", [1, 5])
def test_a_small_request_waits_for_no_more_free_slots_than_there_are_requests(others):
    """However many lanes the others have: the bound is in `Waiting`."""
    running, started = engine(2), []
    for k in range(others):
        running.add(request(1, Walk(k, started, length=3, lanes=10_000)))
    for _ in range(7):
        running.tick()
    begun = len(started)
    late = request(1, Walk(99, started))
    running.add(late)
    while not late.over:
        running.tick()
    admitted = [name for name, _ in started].index(99) - begun
    assert admitted <= others


# --- cancellation


def test_cancelling_frees_the_slots_by_the_next_tick():
    running, started = engine(4), []
    long, other = request(4, Walk(0, started, length=1000)), request(4, Walk(1, started))
    running.add(long)
    running.tick()
    running.add(other)
    assert long.future.cancel()
    running.tick()
    assert other.future.result(0).status.tolist() == [Status.COMPLETE] * 4
    assert not running.busy
    with pytest.raises(CancelledError):
        long.future.result(0)


def test_a_cancelled_future_is_told_to_those_who_wait_for_several():
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, slots=1) as explainer:
        futures = [explainer.submit(some_images(3), None, SHARP) for _ in range(3)]
        assert futures[1].cancel()
        gate.set()
        assert not wait(futures, timeout=20).not_done
        assert futures[0].result().values.tobytes() == futures[2].result().values.tobytes()


def test_so_is_one_that_is_cancelled_while_its_last_lane_is_evaluated():
    session, only = LinearSession(), request(1, Walk(0, []))
    running = engine(2, session)
    session.before_run = only.future.cancel
    running.add(only)
    running.tick()
    assert not running.busy and not wait([only.future], timeout=0).not_done


# --- deadlines


def test_a_request_past_its_deadline_fails_and_frees_its_slots():
    running, started = engine(2), []
    late = request(2, Walk(0, started, length=10**6), deadline=time.monotonic() - 1)
    waiting = request(2, Walk(1, started), deadline=time.monotonic() + 3600)
    running.add(late)
    running.add(waiting)
    running.tick()
    with pytest.raises(DeadlineError):
        late.future.result(0)
    assert waiting.future.result(0).steps.tolist() == [1, 1]


def test_a_deadline_is_a_number_of_seconds_above_zero():
    with Explainer.from_session(LinearSession()) as explainer:
        with pytest.raises(InputError, match="deadline is 0"):
            explainer.submit(some_images(1), deadline=0)
        assert len(explainer.attribute(some_images(1), deadline=60.0)) == 1


# --- the queue's limit


# --- failures


def test_a_method_that_raises_fails_alone():
    running, started = engine(6), []
    good = request(3, Walk(0, started, length=5))
    bad = request(3, Walk(1, started, length=5, fails_at=2))
    for r in (good, bad):
        running.add(r)
    drain(running)
    assert good.future.result(0).steps.tolist() == [5] * 3
    with pytest.raises(ArithmeticError, match="walk 1"):
        bad.future.result(0)


class Cramped(LinearSession):
    """A session with memory for so many slots."""

    room = 3

    def run(self, count):
        if count > self.room:
            raise OutOfMemoryError(f"no memory for {count}")
        super().run(count)


def test_out_of_memory_halves_the_slots_and_loses_nothing(caplog):
    images = some_images(20)
    with Explainer.from_session(Cramped(), slots=16) as explainer:
        result = explainer.attribute(images, None, SHARP)
        again = explainer.attribute(images, None, SHARP)
    with Explainer.from_session(LinearSession(), slots=1) as explainer:
        alone = explainer.attribute(images, None, SHARP)
    assert result.values.tobytes() == again.values.tobytes() == alone.values.tobytes()
    assert [r.getMessage() for r in caplog.records] == [
        "out of memory with 16 slots, going on with 8",
        "out of memory with 8 slots, going on with 4",
        "out of memory with 4 slots, going on with 2",
    ]


def test_no_memory_for_a_single_slot_is_the_callers_to_know():
    session = Cramped()
    session.room = 0
    with Explainer.from_session(session, slots=4) as explainer, pytest.raises(OutOfMemoryError):
        explainer.attribute(some_images(2))


# --- everything at once

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "probed", "fail", "cancel", "late", "tick", "memory"]),
        st.integers(1, 4),
        st.integers(1, 5),
        st.integers(0, 10),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(ACTIONS, st.integers(1, 6))
def test_no_lane_is_lost_or_run_twice_and_no_slot_leaks(actions, slots):
    session, started = Cramped(), []
    session.room = slots
    running, requests = engine(slots, session), []
    for kind, images, lanes, which in actions:
        if kind == "tick":
            running.tick()
        elif kind == "memory":
            session.room = max(1, session.room - 1)
        elif kind == "cancel" and requests:
            requests[which % len(requests)].future.cancel()
        else:
            deadline = time.monotonic() - 1 if kind == "late" else None
            fails = which % 2 if kind == "fail" else -1
            method = Walk(len(requests), started, 1 + which % 4, lanes, kind != "probed", fails)
            requests.append(request(images, method, deadline=deadline))
            running.add(requests[-1])
    drain(running)
    for r in requests:
        assert r.over and not r.queued
        name, count, images = r.method.name, r.method.lanes, len(r.images)
        lanes = sorted(n for who, n in started if who == name)
        if r.future.cancelled() or r.future.exception(0) is not None:
            assert len(lanes) <= count * images
            continue
        assert lanes == sorted(list(range(count)) * images)
        result = r.future.result(0)
        assert (result.values == count * (count + 1) / 2).all()
        assert result.steps.tolist() == [count * r.method.length] * images
