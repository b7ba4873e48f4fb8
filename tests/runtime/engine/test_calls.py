"""Done-callbacks run on a thread of their own and can do whatever they like."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import CancelledError, Future

import pytest
from sessions import LinearSession, some_images

from fluxpath.runtime import Explainer
from fluxpath.runtime.engine.calls import Calls


@pytest.fixture
def held():
    """An explainer, and the event for which its evaluations wait."""
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, slots=2) as explainer:
        yield explainer, gate
        gate.set()


DOINGS = {
    "attribute": lambda explainer: explainer.attribute(some_images(2)),
    "submit": lambda explainer: explainer.submit(some_images(2)).result(20),
    "cancel": lambda explainer: explainer.submit(some_images(2)).cancel(),
    "close": lambda explainer: explainer.close(),
}


@pytest.mark.parametrize("doing", DOINGS)
def test_a_callback_can_use_the_explainer(held, doing):
    explainer, gate = held
    future, done, where = explainer.submit(some_images(1)), threading.Event(), []

    def callback(given):
        where.append((given is future, threading.current_thread().name))
        DOINGS[doing](explainer)
        done.set()

    future.add_done_callback(callback)
    gate.set()
    assert len(future.result(20)) == 1
    assert done.wait(20) and where == [(True, "fluxpath-callbacks")]
    if doing != "close":
        assert len(explainer.attribute(some_images(1))) == 1


def test_a_callback_that_takes_long_delays_nobody_but_callbacks(held):
    explainer, gate = held
    leave, called = threading.Event(), []
    slow, next_one = explainer.submit(some_images(1)), explainer.submit(some_images(1))
    slow.add_done_callback(lambda _: (leave.wait(20), called.append("slow")))
    next_one.add_done_callback(lambda _: called.append("next"))
    gate.set()
    assert len(next_one.result(20)) == len(explainer.attribute(some_images(3))) - 2 == 1
    assert called == []
    last = threading.Event()
    explainer.submit(some_images(1)).add_done_callback(lambda _: last.set())
    leave.set()
    assert last.wait(20) and called == ["slow", "next"]


@pytest.mark.parametrize("error", [SystemExit(3), CancelledError(), asyncio.CancelledError(), KeyError("k")])
def test_what_a_callback_raises_is_logged_and_ends_nothing(held, caplog, error):
    explainer, gate = held
    future, after = explainer.submit(some_images(1)), threading.Event()

    def fail(_):
        raise error

    future.add_done_callback(fail)
    future.add_done_callback(lambda _: after.set())
    gate.set()
    assert after.wait(20)
    assert len(explainer.attribute(some_images(2))) == 2
    (record,) = caplog.records
    assert "exception calling callback" in record.getMessage() and record.exc_info[1] is error


def test_a_callback_of_a_future_that_is_done_is_called_at_once_and_here(held):
    explainer, gate = held
    gate.set()
    future, where = explainer.submit(some_images(1)), []
    future.result(20)
    future.add_done_callback(lambda _: where.append(threading.current_thread()))
    assert where == [threading.current_thread()]


def test_a_callback_of_a_future_that_the_caller_cancels_is_called_in_the_callers_thread(held):
    explainer, _ = held
    future, where = explainer.submit(some_images(1)), []
    future.add_done_callback(lambda _: where.append(threading.current_thread()))
    assert future.cancel()
    assert where == [threading.current_thread()]


def test_callbacks_of_requests_that_end_with_the_explainer_are_called(held):
    explainer, gate = held
    called = threading.Semaphore(0)
    for _ in range(5):
        explainer.submit(some_images(1)).add_done_callback(lambda _: called.release())
    gate.set()
    explainer.close()
    for _ in range(5):
        assert called.acquire(timeout=20)


def test_the_thread_starts_with_the_first_call_and_ends_with_the_last():
    calls, called = Calls(), threading.Event()
    assert calls._thread is None
    calls.place(lambda _: called.set(), Future())
    thread = calls._thread
    assert called.wait(20)
    calls.end()
    thread.join(20)
    assert not thread.is_alive() and calls._thread is None
    calls.place(lambda _: called.clear(), Future())
    calls.finish()
    assert not called.is_set()


def test_without_a_thread_the_calls_wait_for_the_end_of_the_process(monkeypatch):
    calls, called = Calls(), []

    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    calls.place(called.append, Future())
    assert called == []
    calls.end()
    calls.finish()
    assert len(called) == 1


def test_a_callback_holds_no_result_after_it(held):
    explainer, gate = held
    gate.set()
    future, called = explainer.submit(some_images(1)), threading.Event()
    future.add_done_callback(lambda _: called.set())
    assert called.wait(20)
    explainer.submit(some_images(1)).result(20)
    references = sys.getrefcount(future)
    for _ in range(2000):
        if references <= 2:
            break
        threading.Event().wait(0.01)
        references = sys.getrefcount(future)
    assert references == 2
