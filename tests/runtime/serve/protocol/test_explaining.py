"""What is answered, and what overload does: real processes, real sockets."""

from __future__ import annotations

import concurrent.futures
import io

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from serving import body, post
from tritonclient.utils import InferenceServerException

from fluxpath.runtime import NeFLAG

IMAGES = models.images("smooth", 5)


def evaluations(server):
    import urllib.request

    with urllib.request.urlopen(f"http://{server.http}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (found,) = [x for x in lines if x.startswith('fluxpath_evaluations_total{model="smooth"')]
    return float(found.split()[-1])


def test_logits_alone_compute_no_gradient(ask, server, smooth):
    before = evaluations(server)
    logits, probabilities = ask("logits", "probabilities")
    expected = smooth.predict(IMAGES)
    np.testing.assert_array_equal(logits, expected.logits)
    np.testing.assert_array_equal(probabilities, expected.probabilities)
    assert evaluations(server) == before


def test_logits_beside_an_attribution(ask, smooth):
    logits, values = ask("logits", "attribution")
    np.testing.assert_array_equal(logits, smooth.predict(IMAGES).logits)
    np.testing.assert_array_equal(values, smooth.attribute(IMAGES).values)


def test_the_kth_best_class(ask, smooth):
    target, values = ask("target", "attribution", top=2)
    expected = smooth.attribute(IMAGES, top=2)
    np.testing.assert_array_equal(target, expected.target)
    np.testing.assert_array_equal(values, expected.values)


def test_the_photo_and_the_map(ask):
    photo, found = ask("photo", "map")
    assert photo[0][:4] == b"\x89PNG" and found.shape == (5, 6, 6)


DATA = body(IMAGES)


def test_overload_is_refused_with_a_time_and_leaves_nothing_behind(small, smooth):
    """More at a time than there is room for: each answer is right or says when to come again."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        data = body(IMAGES, method="neflag", n=300, seed=1)
        answers = list(pool.map(lambda _: post(small, data), range(24)))
    expected = smooth.attribute(IMAGES, method=NeFLAG(n=300, seed=1)).values
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    for status, headers, said in answers:
        if status == 200:
            (found,) = [o["data"] for o in said["outputs"] if o["name"] == "attribution"]
            # Beside others its batches differ, in which small matrix products round otherwise.
            np.testing.assert_allclose(found, expected.reshape(-1), rtol=1e-4, atol=1e-6)
        else:
            assert 1 <= int(headers["Retry-After"]) <= 60 and "try again later" in said["error"]
    assert post(small, DATA)[0] == 200


def test_grpc_tells_overload_and_too_large_messages(small):
    with tritonclient.grpc.InferenceServerClient(small.grpc) as client:
        tensor = tritonclient.grpc.InferInput("image", [3000, 1, 6, 6], "FP32")
        tensor.set_data_from_numpy(np.zeros((3000, 1, 6, 6), np.float32))
        with pytest.raises(InferenceServerException) as caught:
            client.infer("smooth", [tensor])
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_a_photo_of_many_pixels_is_refused_before_it_is_decoded(small):
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (4000, 4000)).save(stream, "PNG")
    status, _, said = post(
        small, data=stream.getvalue(), **{"Inference-Header-Content-Length": "0", "Content-Type": "image/png"}
    )
    assert status == 400 and "4000 x 4000 pixels" in said["error"]
