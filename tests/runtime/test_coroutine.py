"""Attributions from asyncio."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import DeadlineError, InputError
from fluxpath.runtime import Explainer, Saliency


def test_many_tasks_at_a_time():
    async def all_of_them(explainer):
        images = some_images(8)
        return await asyncio.gather(
            *(explainer.attribute_async(image, i % 3, "saliency") for i, image in enumerate(images))
        )

    with Explainer.from_session(LinearSession(), slots=4) as explainer:
        results = asyncio.run(all_of_them(explainer))
        expected = explainer.attribute(some_images(8), [i % 3 for i in range(8)], Saliency())
    np.testing.assert_array_equal([result.values[0] for result in results], expected.values)


def test_errors_arrive():
    with Explainer.from_session(LinearSession()) as explainer:
        with pytest.raises(InputError, match="target 9 is not a class"):
            asyncio.run(explainer.attribute_async(some_images(1), 9))
        with pytest.raises(DeadlineError):
            asyncio.run(explainer.attribute_async(some_images(1), deadline=1e-9))


def test_cancelling_the_task_cancels_the_request():
    session, running, go_on = LinearSession(), threading.Event(), threading.Event()

    def hold():
        running.set()
        go_on.wait(20)

    session.before_run = hold

    async def cancelled(explainer):
        task = asyncio.create_task(explainer.attribute_async(some_images(1), method=Saliency()))
        await asyncio.to_thread(running.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Explainer.from_session(session) as explainer:
        asyncio.run(cancelled(explainer))
        assert explainer.stats().images == 0 and explainer.stats().cancelled == 1
        go_on.set()


def test_cancelling_while_photos_are_prepared_cancels_the_request_too(monkeypatch):
    preparing, go_on = threading.Event(), threading.Event()
    with Explainer.from_session(LinearSession()) as explainer:
        plain = explainer.submit
        futures = []

        def slow(*given, **named):
            preparing.set()
            go_on.wait(20)
            futures.append(plain(*given, **named))
            return futures[-1]

        monkeypatch.setattr(explainer, "submit", slow)
        block = threading.Event()
        explainer._driver._engine._session.before_run = lambda: block.wait(20)

        async def cancelled():
            task = asyncio.create_task(explainer.attribute_async(some_images(1)))
            await asyncio.to_thread(preparing.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            while not (futures and futures[0].cancelled()):
                await asyncio.sleep(0.01)

        asyncio.run(asyncio.wait_for(cancelled(), 20))
        block.set()
