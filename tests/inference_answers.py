"""What every server of explanations must answer to tritonclient: what `Explainer.attribute` gives.

A test module makes a class of `Answers`, and has the fixtures `server`, `client`, `kind` and `smooth`.
"""

from __future__ import annotations

import asyncio
import io
import json

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from PIL import Image
from tritonclient.utils import InferenceServerException

from fluxpath.runtime import MFABA, IntegratedGradients, NeFLAG
from fluxpath.runtime.pictures import Drawing, heatmap, overlay

KINDS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
IMAGES = models.images("smooth", 5)


def tensor(kind, name, array, datatype, **options):
    made = KINDS[kind].InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, **options)
    return made


def image(kind, array=IMAGES, **options):
    return tensor(kind, "image", array, "FP32", **options)


def outputs(kind, *names, **options):
    return [KINDS[kind].InferRequestedOutput(name, **options) for name in names]


def photos(*sizes):
    rng = np.random.default_rng(0)
    for width, height in sizes:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(stream, "PNG")
        yield stream.getvalue()


class Answers:
    """Of the model smooth. PHOTO, LEVELS: names of inputs that are photos' files, and levels of 8 bits."""

    PHOTO, LEVELS = "image", "image"

    def provenance(self, kind, result):
        """The provenance in an answer."""
        about = result.get_response().parameters if kind == "grpc" else result.get_response()["parameters"]
        return about["provenance"] if kind == "http" else about["provenance"].string_param

    @pytest.mark.parametrize("target", [None, 2, [0, 1, 2, 3, 0]])
    def test_the_answer_is_attributes(self, client, kind, smooth, target):
        inputs = [image(kind)]
        if target is not None:
            inputs.append(tensor(kind, "target", np.atleast_1d(np.array(target)), "INT64"))
        result = client.infer("smooth", inputs, request_id="mine")
        expected = smooth.attribute(IMAGES, target)
        np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)
        for name in ("target", "label", "score", "end_score", "steps", "status", "error_rate"):
            np.testing.assert_array_equal(result.as_numpy(name), getattr(expected, name))
        about = result.get_response()
        assert (about["id"] if kind == "http" else about.id) == "mine"

    def test_settings_are_parameters(self, client, kind, smooth):
        result = client.infer(
            "smooth", [image(kind)], parameters={"method": "neflag", "n": 3, "radius": 0.2, "seed": 11}
        )
        expected = smooth.attribute(IMAGES, method=NeFLAG(n=3, radius=0.2, seed=11))
        np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)
        assert np.isnan(result.as_numpy("end_score")).all()

    def test_an_array_is_an_input_by_the_settings_name(self, client, kind, smooth):
        baseline = np.full((1, 6, 6), 0.25, np.float32)
        result = client.infer(
            "smooth",
            [image(kind), tensor(kind, "baseline", baseline, "FP32")],
            parameters={"method": "integrated-gradients"},
        )
        expected = smooth.attribute(IMAGES, method=IntegratedGradients(baseline=baseline))
        np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)

    def test_float16_and_only_what_is_asked_for(self, client, kind, smooth):
        result = client.infer(
            "smooth", [image(kind)], outputs=outputs(kind, "attribution"),
            parameters={"attribution_datatype": "FP16"},
        )  # fmt: skip
        np.testing.assert_array_equal(
            result.as_numpy("attribution"), smooth.attribute(IMAGES).values.astype(np.float16)
        )
        assert result.as_numpy("target") is None

    def test_pictures_are_those_of_the_command_line(self, client, kind, smooth):
        drawing = {"polarity": "both", "size": 48, "overlay": "original"}
        result = client.infer(
            "smooth", [image(kind)], outputs=outputs(kind, "overlay", "heatmap"), parameters=drawing
        )
        values = smooth.attribute(IMAGES).values
        for i in range(len(IMAGES)):
            shown = np.asarray(Image.open(io.BytesIO(result.as_numpy("overlay")[i])))
            np.testing.assert_array_equal(
                shown, np.asarray(overlay(IMAGES[i], values[i], Drawing(**drawing)))
            )
            heat = np.asarray(heatmap(values[i], Drawing(**drawing)))
            np.testing.assert_array_equal(result.as_numpy("heatmap")[i], heat)

    def test_photos_of_any_size_are_prepared_as_anywhere(self, client, kind, smooth):
        files = list(photos((30, 20), (6, 6), (9, 40)))
        result = client.infer("smooth", [tensor(kind, self.PHOTO, np.array(files, object), "BYTES")])
        expected = smooth.attribute(smooth.prepare(files))
        np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)

    @pytest.mark.parametrize("shape", [(2, 10, 12, 3), (2, 3, 10, 12)])
    def test_levels_are_scaled_to_the_range(self, client, kind, smooth, shape):
        levels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        result = client.infer("smooth", [tensor(kind, self.LEVELS, levels, "UINT8")])
        np.testing.assert_array_equal(result.as_numpy("attribution"), smooth.attribute(levels).values)

    @pytest.mark.parametrize("kind", ["http", "grpc"])
    def test_the_asynchronous_clients(self, server, smooth, kind):
        async def ask():
            async with KINDS[kind].aio.InferenceServerClient(getattr(server, kind)) as client:
                assert await client.is_server_ready()
                return await asyncio.gather(
                    *(client.infer("smooth", [image(kind, IMAGES[i : i + 1])]) for i in range(5))
                )

        results = asyncio.run(ask())
        values = np.concatenate([r.as_numpy("attribution") for r in results])
        expected = np.concatenate([smooth.attribute(i).values for i in IMAGES])
        # They may share evaluations, in which small matrix products round otherwise.
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)

    def test_the_methods_default_is_mfaba(self, server, smooth):
        with tritonclient.http.InferenceServerClient(server.http) as client:
            values = client.infer("smooth", [image("http")]).as_numpy("attribution")
        np.testing.assert_array_equal(values, smooth.attribute(IMAGES, method=MFABA()).values)

    def test_a_provenance_gives_the_same_answer_again_bit_for_bit(self, client, kind, server):
        sent = {"method": "smoothgrad", "n": 4, "seed": 3, "sigma": 0.3}
        first = client.infer("smooth", [image(kind)], parameters=sent)
        about = self.provenance(kind, first)
        told = json.loads(about)
        assert told["sha256"] and told["fluxpath"] and told["seed"] == 3 and told["settings"]["sigma"] == 0.3
        again = client.infer("smooth", [image(kind)], parameters={"replay": about})
        assert again.as_numpy("attribution").tobytes() == first.as_numpy("attribution").tobytes()
        with pytest.raises(InferenceServerException, match="cannot be replayed: its sha256"):
            client.infer("relu", [image(kind, models.images("relu", 1))], parameters={"replay": about})

    @pytest.mark.parametrize("sent", [True, False])
    @pytest.mark.parametrize("answered", [True, False])
    def test_tensors_are_bytes_or_json(self, server, smooth, sent, answered):
        target = tensor("http", "target", np.array([1]), "INT64", binary_data=not sent)
        wanted = [*outputs("http", "attribution", binary_data=answered), *outputs("http", "steps", "score")]
        with tritonclient.http.InferenceServerClient(server.http) as client:
            result = client.infer("smooth", [image("http", binary_data=sent), target], outputs=wanted)
        expected = smooth.attribute(IMAGES, 1)
        np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)
        np.testing.assert_array_equal(result.as_numpy("steps"), expected.steps)
