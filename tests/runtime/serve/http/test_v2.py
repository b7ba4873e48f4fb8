"""The protocol over REST: JSON and bytes in every mix, packed bodies, bodies without JSON."""

from __future__ import annotations

import http.client
import itertools
import json

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
from serving import post

IMAGES = models.images("smooth", 5)


def tensor(name, array, datatype, **options):
    made = tritonclient.http.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, **options)
    return made


def image(array=IMAGES, **options):
    return tensor("image", array, "FP32", **options)


def outputs(*names, **options):
    return [tritonclient.http.InferRequestedOutput(name, **options) for name in names]


@pytest.mark.parametrize(("given", "taken"), list(itertools.product([True, False], [True, False])))
def test_every_mix_of_json_and_bytes(server, smooth, given, taken):
    with tritonclient.http.InferenceServerClient(server.http) as client:
        result = client.infer(
            "smooth",
            [
                image(binary_data=given),
                tensor("target", np.array([1]), "INT64", binary_data=not given),
            ],
            outputs=outputs("attribution", binary_data=taken)
            + outputs("score", "overlay", binary_data=not taken),
        )
    expected = smooth.attribute(IMAGES, 1)
    np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)
    np.testing.assert_array_equal(result.as_numpy("score"), expected.score)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_bodies(server, smooth, algorithm):
    with tritonclient.http.InferenceServerClient(server.http) as client:
        result = client.infer("smooth", [image()], request_compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("attribution"), smooth.attribute(IMAGES).values)


RAW = {"Inference-Header-Content-Length": "0"}


def test_a_body_of_numbers_alone(server, smooth):
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("POST", "/v2/models/smooth/infer", IMAGES.tobytes(), RAW)
    answer = connection.getresponse()
    size = int(answer.headers["Inference-Header-Content-Length"])
    data = answer.read()
    connection.close()
    found = json.loads(data[:size])["outputs"][0]
    values = np.frombuffer(data, np.float32, IMAGES.size, size).reshape(found["shape"])
    np.testing.assert_array_equal(values, smooth.attribute(IMAGES).values)


def test_a_body_of_neither_numbers_nor_a_photo(server):
    status, _, said = post(server, b"12345", **RAW)
    assert status == 400 and "144 bytes each, or a photo" in said["error"]
    status, _, said = post(server, b"12345", **RAW, **{"Content-Type": "image/png"})
    assert status == 400 and "not an image" in said["error"]
