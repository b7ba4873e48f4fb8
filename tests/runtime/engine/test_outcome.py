"""Interrupted callers hurt nobody else, and a future is one of the standard library's for all who use it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, CancelledError, as_completed, wait

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import DeadlineError, FluxpathError
from fluxpath.runtime import MFABA, Explainer, Saliency
from fluxpath.runtime.engine.outcome import Outcome

SHORT = MFABA("sharp", step_size=0.02, max_steps=3)


class AlarmError(TimeoutError):
    """What a signal handler raises."""


def interrupted(call, at):
    """Run `call`, and raise at the place `at` of all in which Python would run a signal handler.

    These are where a Python function begins and where one in C returns. False if there are fewer places.
    """
    places, raised = itertools.count(), []

    def profile(frame, event, argument):
        if event in ("call", "c_return") and next(places) == at:
            sys.setprofile(None)
            raised.append(at)
            raise AlarmError

    sys.setprofile(profile)
    try:
        call()
    except (
        AlarmError,
        RuntimeError,
    ):  # the latter from a lock of the standard library that is not as it was left
        assert raised
    finally:
        sys.setprofile(None)
    return bool(raised)


def cancelled(explainer, image):
    explainer.submit(image, 0, SHORT).cancel()


def called_back(explainer, image):
    future = explainer.submit(image, 0, SHORT)
    future.add_done_callback(lambda _: None)
    future.result()


USES = {
    "attribute": lambda explainer, image: explainer.attribute(image, 0, SHORT),
    "result": lambda explainer, image: explainer.submit(image, 0, SHORT).result(20),
    "exception": lambda explainer, image: explainer.submit(image, 0, SHORT).exception(),
    "wait": lambda explainer, image: wait([explainer.submit(image, 0, SHORT)], 20),
    "as_completed": lambda explainer, image: list(as_completed([explainer.submit(image, 0, SHORT)])),
    "cancel": cancelled,
    "callback": called_back,
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_wherever_a_caller_is_interrupted_others_go_on_and_nothing_is_lost(use):
    image = some_images(1)
    with Explainer.from_session(LinearSession(), slots=2, max_pending=3) as explainer:
        at = 0
        while interrupted(lambda: use(explainer, image), at):
            at += 1
            other = threading.Thread(target=explainer.attribute, args=(image, 0, SHORT))
            other.start()
            other.join(20)
            assert not other.is_alive(), f"interrupted at place {at - 1}, others wait for ever"
        assert at > 20
        for _ in range(2000):
            if explainer._pending._count == 0:
                break
            threading.Event().wait(0.01)
        assert explainer._pending._count == 0
        assert not explainer._pending.futures()


def held(slots=1, **options):
    """An explainer whose evaluations wait for the event."""
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    return Explainer.from_session(session, slots=slots, **options), gate


def test_waiting_for_one_or_for_several():
    explainer, gate = held()
    with explainer:
        first, second = explainer.submit(some_images(1)), explainer.submit(some_images(1, seed=2))
        with pytest.raises(TimeoutError):
            first.result(0.01)
        with pytest.raises(TimeoutError):
            first.exception(0)
        assert not wait([first, second], 0.01).done
        assert not first.done() and not first._bells
        threads = [threading.Thread(target=first.result, args=(20,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert first.result(1e300) is first.result() and first.exception() is None
        assert wait([first, second], 20, FIRST_COMPLETED).done
        assert set(as_completed([first, second], 20)) == {first, second}


def test_a_cancelled_or_failed_one_is_told_to_all_who_wait():
    explainer, gate = held()
    with explainer:
        running = explainer.submit(some_images(1))
        going, late = explainer.submit(some_images(1)), explainer.submit(some_images(1), deadline=0.001)
        told = []

        def listen(future):
            try:
                future.result(20)
            except BaseException as error:
                told.append(type(error))

        threads = [threading.Thread(target=listen, args=(f,)) for f in (going, late)]
        for thread in threads:
            thread.start()
        assert going.cancel() and going.cancelled() and going.done()
        threads[0].join(20)
        time.sleep(0.002)  # the deadline is over
        gate.set()
        threads[1].join(20)
        assert set(told) == {CancelledError, DeadlineError}
        assert isinstance(late.exception(), DeadlineError)
        assert len(running.result(20)) == 1


def test_asyncio_waits_for_it_and_cancels_it():
    explainer, gate = held()

    async def main():
        loop = asyncio.get_running_loop()
        wanted = asyncio.wrap_future(explainer.submit(some_images(1)), loop=loop)
        inner = explainer.submit(some_images(1))
        given_up = asyncio.wrap_future(inner, loop=loop)
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.wait_for(wanted, 20), inner

    with explainer:
        result, inner = asyncio.run(main())
    assert len(result) == 1 and inner.cancelled()


def test_the_lock_of_a_future_that_another_thread_keeps_holds_up_nobody():
    explainer, gate = held()
    with explainer:
        future = explainer.submit(some_images(1))
        taken, leave = threading.Event(), threading.Event()

        def keep():
            with future._condition:
                taken.set()
                leave.wait(20)

        keeper = threading.Thread(target=keep)
        keeper.start()
        assert taken.wait(20)
        gate.set()
        assert len(explainer.attribute(some_images(1))) == 1
        assert not future.over
        leave.set()
        assert len(future.result(20)) == 1
        keeper.join(20)


def test_the_engines_own_thread_cannot_wait_for_itself():
    class Nested(Saliency):
        def advance(self, lanes, slots):
            inner.append(explainer.submit(some_images(1), 0, Saliency()))
            inner[0].result(20)

    inner = []
    with Explainer.from_session(LinearSession(), slots=2) as explainer:
        with pytest.raises(FluxpathError, match="the engine's own thread"):
            explainer.attribute(some_images(1), 0, Nested())
        assert len(inner[0].result(20)) == 1


def test_the_outcome_that_came_first_stays():
    outcome = Outcome()
    outcome.settle(error=ValueError("first"))
    outcome.settle(error=ValueError("second"))
    assert str(outcome.exception()) == "first"
