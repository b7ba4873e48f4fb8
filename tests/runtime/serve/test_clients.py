"""tritonclient over REST and gRPC, unmodified: what it can ask, and that answers are `attribute`'s."""

from __future__ import annotations

import asyncio
import json

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from serving import wait_until
from tritonclient.utils import InferenceServerException

from fluxpath.runtime import MFABA, NeFLAG

KINDS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
IMAGES = models.images("smooth", 5)


@pytest.fixture(params=list(KINDS), scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def client(server, kind):
    with KINDS[kind].InferenceServerClient(getattr(server, kind)) as client:
        yield client


def tensor(kind, name, array, datatype, **options):
    made = KINDS[kind].InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, **options)
    return made


def image(kind, array=IMAGES, **options):
    return tensor(kind, "image", array, "FP32", **options)


def outputs(kind, *names, **options):
    return [KINDS[kind].InferRequestedOutput(name, **options) for name in names]


def as_dict(kind, found):
    if kind == "http":
        return found
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(found, preserving_proto_field_name=True)


def test_health(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("smooth") and client.is_model_ready("relu", "3")


def test_metadata(client, kind):
    assert as_dict(kind, client.get_server_metadata())["name"] == "fluxpath"
    found = as_dict(kind, client.get_model_metadata("relu"))
    assert found["versions"] == ["3", "12"]
    inputs = {i["name"]: (i["datatype"], [int(d) for d in i["shape"]]) for i in found["inputs"]}
    assert inputs == {"image": ("FP32", [-1, 2, 8, 8]), "target": ("INT64", [-1])}


def test_the_highest_version_is_the_default(client, kind):
    result = client.infer("relu", [image(kind, models.images("relu", 1))])
    about = result.get_response()
    assert (about["model_version"] if kind == "http" else about.model_version) == "12"


def test_config(client, kind):
    found = as_dict(kind, client.get_model_config("smooth"))
    found = found.get("config", found)
    assert found["backend"] == "fluxpath"
    assert "neflag" in found["parameters"]["methods"]["string_value"]


def test_index_and_no_loading_unless_it_was_allowed(client, kind):
    found = client.get_model_repository_index()
    rows = found if kind == "http" else as_dict(kind, found)["models"]
    names = [(r["name"], r["version"], r["state"]) for r in rows]
    assert names == [("smooth", "1", "READY"), ("relu", "3", "READY"), ("relu", "12", "READY")]
    for change in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="--model-folder"):
            change("smooth")


def test_statistics_count(client, kind):
    def count():
        found = as_dict(kind, client.get_inference_statistics("relu", "3"))["model_stats"][0]
        return int(found.get("inference_count", 0)), int(found["inference_stats"]["success"].get("count", 0))

    before = count()
    client.infer("relu", [image(kind, models.images("relu", 3))], "3")
    assert count() == (before[0] + 3, before[1] + 1)


@pytest.mark.parametrize("target", [None, 2, [0, 1, 2, 3, 0]])
def test_the_answer_is_attributes(client, kind, smooth, target):
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


def test_settings_are_parameters(client, kind, smooth):
    result = client.infer(
        "smooth", [image(kind)], parameters={"method": "neflag", "n": 3, "radius": 0.2, "seed": 11}
    )
    expected = smooth.attribute(IMAGES, method=NeFLAG(n=3, radius=0.2, seed=11))
    np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)
    assert np.isnan(result.as_numpy("end_score")).all()


def test_an_array_is_an_input_by_the_settings_name(client, kind, smooth):
    from fluxpath.runtime import IntegratedGradients

    baseline = np.full((1, 6, 6), 0.25, np.float32)
    result = client.infer(
        "smooth",
        [image(kind), tensor(kind, "baseline", baseline, "FP32")],
        parameters={"method": "integrated-gradients"},
    )
    expected = smooth.attribute(IMAGES, method=IntegratedGradients(baseline=baseline))
    np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)


def provenance(kind, result):
    about = result.get_response()
    return (
        about["parameters"]["provenance"] if kind == "http" else about.parameters["provenance"].string_param
    )


def test_a_provenance_gives_the_same_answer_again_bit_for_bit(client, kind, server):
    sent = {"method": "smoothgrad", "n": 4, "seed": 3, "sigma": 0.3}
    first = client.infer("smooth", [image(kind)], parameters=sent)
    about = provenance(kind, first)
    told = json.loads(about)
    assert told["sha256"] and told["fluxpath"] and told["seed"] == 3 and told["settings"]["sigma"] == 0.3
    again = client.infer("smooth", [image(kind)], parameters={"replay": about})
    assert again.as_numpy("attribution").tobytes() == first.as_numpy("attribution").tobytes()
    with pytest.raises(InferenceServerException, match="cannot be replayed: its sha256"):
        client.infer("relu", [image(kind, models.images("relu", 1))], parameters={"replay": about})


def test_float16_and_only_what_is_asked_for(client, kind, smooth):
    result = client.infer(
        "smooth", [image(kind)], outputs=outputs(kind, "attribution"),
        parameters={"attribution_datatype": "FP16"},
    )  # fmt: skip
    np.testing.assert_array_equal(
        result.as_numpy("attribution"), smooth.attribute(IMAGES).values.astype(np.float16)
    )
    assert result.as_numpy("target") is None


def test_pictures_are_those_of_the_command_line(client, kind, smooth):
    import io

    from PIL import Image

    from fluxpath.runtime.pictures import Drawing, heatmap, overlay

    drawing = {"polarity": "both", "size": 48, "overlay": "original"}
    result = client.infer(
        "smooth", [image(kind)], outputs=outputs(kind, "overlay", "heatmap"), parameters=drawing
    )
    values = smooth.attribute(IMAGES).values
    for i in range(len(IMAGES)):
        shown = np.asarray(Image.open(io.BytesIO(result.as_numpy("overlay")[i])))
        np.testing.assert_array_equal(shown, np.asarray(overlay(IMAGES[i], values[i], Drawing(**drawing))))
        heat = np.asarray(heatmap(values[i], Drawing(**drawing)))
        np.testing.assert_array_equal(result.as_numpy("heatmap")[i], heat)


def photos(*sizes):
    import io

    from PIL import Image

    rng = np.random.default_rng(0)
    for width, height in sizes:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(stream, "PNG")
        yield stream.getvalue()


def test_photos_of_any_size_are_prepared_as_anywhere(client, kind, smooth):
    files = list(photos((30, 20), (6, 6), (9, 40)))
    result = client.infer("smooth", [tensor(kind, "image", np.array(files, object), "BYTES")])
    expected = smooth.attribute(smooth.prepare(files))
    np.testing.assert_array_equal(result.as_numpy("attribution"), expected.values)


@pytest.mark.parametrize("shape", [(2, 10, 12, 3), (2, 3, 10, 12), (10, 12, 1)])
def test_levels_are_scaled_to_the_range(client, kind, smooth, shape):
    levels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = client.infer("smooth", [tensor(kind, "image", levels, "UINT8")])
    np.testing.assert_array_equal(result.as_numpy("attribution"), smooth.attribute(levels).values)


@pytest.mark.parametrize(
    ("model", "change", "status", "said"),
    [
        ("nobody", {}, "404", "there is no model 'nobody'"),
        ("smooth", {"version": "7"}, "404", "has no version '7'"),
        ("smooth", {"parameters": {"method": "magic"}}, "400", "there is no method 'magic'"),
        ("smooth", {"parameters": {"steps": 3}}, "400", "no parameter 'steps'"),
        ("smooth", {"outputs": ["heat"]}, "400", "no output 'heat'"),
        ("smooth", {"array": np.full((1, 1, 6, 6), np.nan, np.float32)}, "400", "NaN"),
        ("smooth", {"array": np.zeros((1, 1, 7, 6), np.float32)}, "400", "must have [n, 1, 6, 6]"),
        ("smooth", {"array": np.zeros((0, 1, 6, 6), np.float32)}, "400", "0 images"),
        ("smooth", {"array": np.zeros((300, 1, 6, 6), np.float32)}, "400", "300 images"),
        ("smooth", {"target": 4}, "400", "target 4 is not a class"),
        ("smooth", {"parameters": {"deadline_ms": -4}}, "400", "deadline_ms"),
        ("smooth", {"name": "picture"}, "400", "no input 'picture'"),
        ("smooth", {"parameters": {"method": "neflag", "n": 10**9}}, "400", "fewer steps"),
    ],
)
def test_errors_say_what_is_wrong(client, kind, model, change, status, said):
    inputs = [tensor(kind, change.get("name", "image"), change.get("array", IMAGES), "FP32")]
    if "target" in change:
        inputs.append(tensor(kind, "target", np.array([change["target"]]), "INT64"))
    asked = outputs(kind, *change["outputs"]) if "outputs" in change else None
    with pytest.raises(InferenceServerException) as caught:
        client.infer(
            model, inputs, change.get("version", ""), outputs=asked, parameters=change.get("parameters")
        )
    names = {"400": "StatusCode.INVALID_ARGUMENT", "404": "StatusCode.NOT_FOUND"}
    assert caught.value.status() == (status if kind == "http" else names[status])
    assert said in caught.value.message()


SLOW = {"method": "neflag", "n": 1500}


def test_a_deadline_ends_the_request(client, kind):
    with pytest.raises(InferenceServerException) as caught:
        client.infer("smooth", [image(kind)], timeout=20_000, parameters=SLOW)
    assert caught.value.status() == ("504" if kind == "http" else "StatusCode.DEADLINE_EXCEEDED")


def test_lanes_are_free_after_a_deadline(client, kind, server):
    with pytest.raises(InferenceServerException):
        client.infer("smooth", [image(kind)], parameters={**SLOW, "deadline_ms": 30})
    wait_until(server, False)


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_asynchronous_clients(server, smooth, kind):
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


def test_the_methods_default_is_mfaba(server, smooth):
    with tritonclient.http.InferenceServerClient(server.http) as client:
        values = client.infer("smooth", [image("http")]).as_numpy("attribution")
    np.testing.assert_array_equal(values, smooth.attribute(IMAGES, method=MFABA()).values)
