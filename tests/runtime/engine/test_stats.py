"""Counts of what was done."""

from __future__ import annotations

import threading

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import InputError, QueueFullError
from fluxpath.runtime import Explainer, Method, Saliency, Stats


class Failing(Method):
    """Raises."""

    def advance(self, lanes, slots):
        raise InputError("no")


def test_counts():
    session = LinearSession()
    with Explainer.from_session(session, slots=4, max_pending=20) as explainer:
        assert explainer.stats() == Stats(4, 0, 0, 0, 0, 0, 0)
        assert explainer.stats().lanes_per_evaluation == 0
        explainer.attribute(some_images(10), method=Saliency())
        assert explainer.stats() == Stats(4, 3, 10, 0, 1, 0, 0)
        assert explainer.stats().lanes_per_evaluation == pytest.approx(10 / 3)
        with pytest.raises(InputError, match="no"):
            explainer.attribute(some_images(1), method=Failing())
        with pytest.raises(QueueFullError):  # refused, which is no request
            explainer.submit(some_images(21))
        with pytest.raises(InputError):
            explainer.submit(some_images(1), 9)
        block = threading.Event()
        session.before_run = lambda: block.wait(20)
        held, gone = explainer.submit(some_images(2)), explainer.submit(some_images(3))
        assert explainer.stats().images == 5
        assert gone.cancel()
        assert explainer.stats().images == 2 and explainer.stats().cancelled == 1
        block.set()
        held.result(20)
    counts = explainer.stats()
    assert (counts.images, counts.done, counts.failed, counts.cancelled) == (0, 2, 1, 1)
    assert counts.evaluations == len(session.counts) and counts.lanes == sum(session.counts)


def test_requests_that_a_close_ends_have_failed():
    session, block = LinearSession(), threading.Event()
    session.before_run = lambda: block.wait(20)
    explainer = Explainer.from_session(session)
    future = explainer.submit(some_images(2))
    threading.Timer(0.05, block.set).start()
    explainer.close()
    assert future.exception(20) is not None or future.result(20) is not None
    counts = explainer.stats()
    assert counts.images == 0 and counts.done + counts.failed == 1


def test_counts_are_right_however_many_threads_ask():
    with Explainer.from_session(LinearSession(), slots=8) as explainer:

        def ask():
            for _ in range(10):
                explainer.attribute(some_images(2), method=Saliency())

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = explainer.stats()
    assert (counts.done, counts.lanes, counts.images) == (60, 120, 0)


def test_warmup_fills_the_slots():
    session = LinearSession()
    with Explainer.from_session(session, slots=5) as explainer:
        explainer.warmup()
        assert session.counts == [5, 5, 1, 1]
    session = LinearSession()
    with Explainer.from_session(session, slots=5, max_pending=3) as explainer:
        explainer.warmup()
        assert session.counts == [3, 3, 1, 1]
