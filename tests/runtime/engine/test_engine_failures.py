"""What happens to those who cancel, come too late, fail or do not fit."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError

import pytest
from engines import Recorder, Walk, drain, engine, request
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import LinearSession, some_images

from fluxpath.errors import DeadlineError, OutOfMemoryError
from fluxpath.runtime import (
    MFABA,
    Explainer,
    Status,
)

SHARP = MFABA("sharp", step_size=0.02, max_steps=12)


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


def test_what_was_delivered_before_a_failure_stays():
    running = engine(2)
    first, second = request(1, Recorder("a", [])), request(1, Recorder("b", []))
    second.deliver = lambda *_: 1 / 0
    for r in (first, second):
        running.add(r)
    running.tick()
    assert first.future.result(0).status[0] == Status.COMPLETE
    with pytest.raises(ZeroDivisionError):
        second.future.result(0)
    running.tick()
    assert not running.busy


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
