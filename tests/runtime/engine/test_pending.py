"""The limit of images that wait or run."""

from __future__ import annotations

import threading

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import QueueFullError
from fluxpath.runtime import Explainer


def test_a_full_queue_refuses_and_takes_again_when_there_is_room():
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, max_pending=4) as explainer:
        first = explainer.submit(some_images(3))
        with pytest.raises(QueueFullError, match=r"3 images .* 2 more exceed max_pending=4"):
            explainer.submit(some_images(2))
        second = explainer.submit(some_images(1))
        assert second.cancel()
        third = explainer.submit(some_images(1))
        gate.set()
        assert len(first.result(20)) == 3 and len(third.result(20)) == 1
        assert len(explainer.attribute(some_images(4))) == 4
