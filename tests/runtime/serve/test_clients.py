"""tritonclient over REST and gRPC, unmodified: what it can ask, and that answers are `attribute`'s."""

from __future__ import annotations

import models
import numpy as np
import pytest
from inference_answers import IMAGES, KINDS, Answers, image, outputs, tensor
from serving import wait_until
from tritonclient.utils import InferenceServerException


@pytest.fixture(params=list(KINDS), scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def client(server, kind):
    with KINDS[kind].InferenceServerClient(getattr(server, kind)) as client:
        yield client


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


@pytest.mark.parametrize(
    ("model", "change", "status", "said"),
    [
        ("nobody", {}, "404", "there is no model 'nobody'"),
        ("smooth", {"version": "7"}, "404", "has no version '7'"),
        ("smooth", {"parameters": {"method": "neflog"}}, "400", "no method 'neflog': the nearest is neflag"),
        ("smooth", {"parameters": {"steps": 3}}, "400", "parameter 'steps': the nearest"),
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


class TestAnswers(Answers):
    """And one photo alone, as levels."""

    @pytest.mark.parametrize("shape", [(2, 10, 12, 3), (2, 3, 10, 12), (10, 12, 1)])
    def test_levels_are_scaled_to_the_range(self, client, kind, smooth, shape):
        super().test_levels_are_scaled_to_the_range(client, kind, smooth, shape)
