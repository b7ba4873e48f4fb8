"""Outputs that take no gradient, and those that say more than the attribution."""

from __future__ import annotations

import models
import numpy as np
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

IMAGES = models.images("smooth", 5)


@pytest.fixture
def ask(server):
    with tritonclient.http.InferenceServerClient(server.http) as client:

        def ask(*names, images=IMAGES, **parameters):
            tensor = tritonclient.http.InferInput("image", list(images.shape), "FP32")
            tensor.set_data_from_numpy(images)
            outputs = [tritonclient.http.InferRequestedOutput(n) for n in names]
            result = client.infer("smooth", [tensor], outputs=outputs, parameters=parameters)
            return [result.as_numpy(n) for n in names]

        yield ask


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


@pytest.mark.parametrize("method", ["mfaba-sharp", "guided-ig", "neflag"])
def test_the_scores_along_a_walk(ask, smooth, method):
    walk, values = ask("walk", "attribution", images=IMAGES[:1], method=method)
    np.testing.assert_array_equal(walk, smooth.walk(IMAGES[0], method=method).scores)
    np.testing.assert_array_equal(values, smooth.attribute(IMAGES[:1], method=method).values)
    with pytest.raises(InferenceServerException, match="for one image"):
        ask("walk", method=method)


def test_the_photo_and_the_map(ask):
    photo, found = ask("photo", "map")
    assert photo[0][:4] == b"\x89PNG" and found.shape == (5, 6, 6)
