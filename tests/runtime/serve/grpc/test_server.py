"""The protocol over gRPC: streams, and calls that are cancelled."""

from __future__ import annotations

import asyncio
import queue
import time

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
from serving import serving, wait_until
from tritonclient.utils import InferenceServerException

IMAGES = models.images("smooth", 5)


def tensor(name, array, datatype, **options):
    made = tritonclient.grpc.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, **options)
    return made


def image(array=IMAGES, **options):
    return tensor("image", array, "FP32", **options)


SLOW = {"method": "neflag", "n": 1500}


def test_a_cancelled_call_frees_its_lanes(server):
    async def cancel():
        async with tritonclient.grpc.aio.InferenceServerClient(server.grpc) as client:
            call = client.infer("smooth", [image()], parameters=SLOW)
            task = asyncio.ensure_future(call)
            await asyncio.to_thread(wait_until, server, True)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    wait_until(server, False)


def test_a_stream_answers_in_order_and_outlives_an_error(server, smooth):
    answers = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(3):
            client.async_stream_infer("smooth", [image(IMAGES[i : i + 1])], request_id=str(i))
            client.async_stream_infer("nobody", [image()], request_id="x")
        for i in range(3):
            result, error = answers.get(timeout=20)
            assert error is None and result.get_response().id == str(i)
            expected = smooth.attribute(IMAGES[i]).values
            np.testing.assert_array_equal(result.as_numpy("attribution"), expected)
            result, error = answers.get(timeout=20)
            assert "no model 'nobody'" in error.message()
        client.stop_stream()


def test_a_call_is_logged_with_the_callers_id(server):
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        client.infer("smooth", [image()], headers={"x-request-id": "mine-2"})
        with pytest.raises(InferenceServerException):
            client.infer("nobody", [image()], headers={"x-request-id": "mine-3"})
    end = time.monotonic() + 5
    while True:
        found = {line["request_id"]: line["status"] for line in server.log if line["message"] == "call"}
        if {"mine-2", "mine-3"} <= set(found):
            break
        assert time.monotonic() < end
    assert (found["mine-2"], found["mine-3"]) == ("OK", "refused")


def test_overload_says_when_to_come_again(graph):
    with (
        serving(f"smooth={graph('smooth')}", "--max-queue-images", 5) as busy,
        tritonclient.grpc.InferenceServerClient(busy.grpc) as client,
    ):
        first = client.async_infer("smooth", [image()], lambda result, error: None, parameters=SLOW)
        wait_until(busy, True)
        with pytest.raises(InferenceServerException) as caught:
            client.infer("smooth", [image()])
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
        trailing = dict(caught.value.__context__.trailing_metadata())
        assert int(trailing["retry-after"]) >= 1
        first.cancel()
        wait_until(busy, False)
