"""An explainer by a handle, with a stand-in for Ray Serve's."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import models
import numpy as np
import pytest

from fluxpath.artifact import read_manifest
from fluxpath.errors import ClosedError
from fluxpath.runtime import Explainer
from fluxpath.runtime.ray.serving.engine import Answered, Engine, Held
from fluxpath.runtime.ray.serving.engines import Engines
from fluxpath.runtime.replicas.messages import ReplicaError
from fluxpath.runtime.replicas.replica import NOTHING

IMAGES = models.images("smooth", 3)


class Response:
    def __init__(self, work):
        self._task, self.cancelled = asyncio.ensure_future(work), False

    def __await__(self):
        return self._task.__await__()

    def cancel(self):
        self.cancelled = True


def asked(graph, work, do=None, remote=None):
    """`work(engines, responses)`, with an engine in this process in place of a replica, or `do`."""
    engine = Engine.__new__(Engine)
    engine._replica = "r"
    responses = []

    def asked_there(*call):
        responses.append(Response((do or engine.do)(*call)))
        return responses[-1]

    async def run():
        path = graph("smooth")
        handle = SimpleNamespace(do=SimpleNamespace(remote=remote or asked_there))
        engines = Engines(handle, "smooth:1", read_manifest(path), (1, 6, 6), "digest", 64)
        return await work(engines, responses)

    with Explainer(graph("smooth")) as explainer:
        engine._all = {"smooth:1": Held(explainer)}
        return asyncio.run(run())


def test_answers(graph, smooth):
    async def work(engines, _):
        future = engines.submit(IMAGES, method="neflag")
        result = await asyncio.wrap_future(future)
        assert future.progress.ended == future.progress.lanes
        assert (engines.stats().done, engines.slots, engines.alive) == (1, 64, 1)
        found = await asyncio.to_thread(engines.predict, IMAGES)
        await asyncio.to_thread(engines.warmup)
        return result, found

    result, found = asked(graph, work)
    expected = smooth.attribute(IMAGES, method="neflag")
    assert result.values.tobytes() == expected.values.tobytes() and repr(result) == repr(expected)
    np.testing.assert_array_equal(found.logits, smooth.predict(IMAGES).logits)


def test_a_replica_that_ended(graph):
    async def gone(*_):
        raise RuntimeError("Ray's")

    async def work(engines, _):
        with pytest.raises(ReplicaError, match="has ended: ask again"):
            await asyncio.wrap_future(engines.submit(IMAGES))

    asked(graph, work, gone)


def test_cancelling_reaches_the_replica_and_closing_refuses(graph):
    async def forever(*_):
        await asyncio.sleep(60)

    async def work(engines, responses):
        first, second = engines.submit(IMAGES), engines.submit(IMAGES)
        await asyncio.sleep(0.05)
        assert first.cancel()
        await asyncio.sleep(0.05)
        assert [response.cancelled for response in responses] == [True, False]
        engines.close()
        with pytest.raises(ClosedError):
            await asyncio.wrap_future(second)
        with pytest.raises(ClosedError):
            engines.submit(IMAGES)
        assert engines.alive == 0

    asked(graph, work, forever)


def test_a_handle_that_cannot_be_asked_is_an_error(graph):
    def remote(*_):
        raise RuntimeError("Ray's")

    async def work(engines, _):
        for future in (engines.submit(IMAGES), engines.submit_prediction(IMAGES)):
            with pytest.raises(ReplicaError, match="ask again"):
                await asyncio.wait_for(asyncio.wrap_future(future), 30)

    asked(graph, work, remote=remote)


def test_an_answer_that_cannot_be_read_is_an_error(graph):
    async def odd(*_):
        return Answered(None, None, "r", NOTHING)

    async def work(engines, _):
        with pytest.raises(AttributeError):
            await asyncio.wait_for(asyncio.wrap_future(engines.submit(IMAGES)), 30)

    asked(graph, work, odd)


@pytest.mark.parametrize("begun", [False, True])
def test_closing_ends_what_has_not_been_sent_yet(graph, begun):
    async def work(engines, responses):
        future = engines.submit(IMAGES)
        if begun:  # the task is there, and has not made its first step
            engines._loop.call_soon(lambda: [task.cancel() for task in engines._tasks.values()])
        else:
            engines.close()
        with pytest.raises(ClosedError, match="is closed"):
            await asyncio.wait_for(asyncio.wrap_future(future), 30)
        assert not responses

    asked(graph, work)
