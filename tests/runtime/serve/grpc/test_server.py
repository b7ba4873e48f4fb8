"""The protocol over gRPC: streams, and calls that are cancelled."""

from __future__ import annotations

import asyncio
import queue

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
from serving import wait_until

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
