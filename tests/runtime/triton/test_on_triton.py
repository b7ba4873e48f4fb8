"""A repository of gradient graphs on a real Triton, asked with tritonclient as the server is."""

from __future__ import annotations

import concurrent.futures
import json
import shutil
import time

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from inference_answers import IMAGES, KINDS, Answers, image, outputs, tensor
from triton_server import missing, triton
from tritonclient.utils import InferenceServerException

from fluxpath.export import attribution_from_gradient
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.triton.options import Options
from fluxpath.runtime.triton.repository import write

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

FULL = """
parameters { key: "max_queue_images" value { string_value: "5" } }
parameters { key: "max_queue_evaluations" value { string_value: "1000000000" } }
"""
LONG = {"method": "neflag", "n": 1500}

TWIN = """
import onnxruntime
import triton_python_backend_utils as triton
from pathlib import Path


class TritonPythonModel:
    def initialize(self, args):
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self.answer({t.name(): t.as_numpy() for t in r.inputs()}) for r in requests]

    def answer(self, feeds):
        names = [o.name for o in self.session.get_outputs()]
        found = zip(names, self.session.run(names, feeds))
        return triton.InferenceResponse([triton.Tensor(name, array) for name, array in found])
"""
"""What Triton's ONNX Runtime backend, which PyTriton's wheel has not, does with a request."""


@pytest.fixture(scope="module")
def server(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("triton") / "models"
    smooth = graph("smooth", class_names=("a", "b", "c", "d"))
    write([f"smooth={smooth}", f"relu:3={graph('relu')}", f"full={smooth}"], folder)
    with (folder / "full" / "config.pbtxt").open("a") as file:
        file.write(FULL)
    whole = folder.with_name("whole.onnx")
    attribution_from_gradient(graph("smooth"), whole, method="mfaba-sharp", settings={"max_steps": 10})
    write([str(whole)], folder.with_name("second"), Options(max_batch=4))
    shutil.move(folder.with_name("second") / "whole", folder / "whole")
    (folder / "whole" / "1" / "model.py").write_text(TWIN)
    config = folder / "whole" / "config.pbtxt"
    said = config.read_text()
    config.write_text(said.replace('"onnxruntime"', '"python"').replace('"model.onnx"', '"model.py"'))
    with triton(folder) as server:
        yield server


@pytest.fixture(scope="module")
def smooth(graph):
    with Explainer(graph("smooth", class_names=("a", "b", "c", "d"))) as explainer:
        yield explainer


@pytest.fixture(params=list(KINDS), scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def client(server, kind):
    with KINDS[kind].InferenceServerClient(getattr(server, kind)) as client:
        yield client


class TestAnswers(Answers):
    """As of the server, but that Triton's inputs have one datatype each, and answers no parameters."""

    PHOTO, LEVELS = "photo", "levels"

    def provenance(self, kind, result):
        """It is an output."""
        return result.as_numpy("provenance")[0].decode()


def as_json(kind, call, *arguments):
    return call(*arguments) if kind == "http" else call(*arguments, as_json=True)


def test_models_are_ready_by_name_and_version(client, kind):
    assert client.is_server_ready() and client.is_model_ready("smooth") and client.is_model_ready("relu", "3")
    found = as_json(kind, client.get_model_metadata, "relu")
    assert found["versions"] == ["3"]
    shapes = {i["name"]: (i["datatype"], [int(d) for d in i["shape"]]) for i in found["inputs"]}
    assert shapes["image"] == ("FP32", [-1, 2, 8, 8]) and shapes["target"] == ("INT64", [-1])


def test_the_configuration_says_what_the_model_is(client, kind):
    found = as_json(kind, client.get_model_config, "smooth")
    found = found.get("config", found)
    assert found["backend"] == "python" and not found.get("max_batch_size")
    assert json.loads(found["parameters"]["class_names"]["string_value"]) == ["a", "b", "c", "d"]
    assert "neflag" in found["parameters"]["methods"]["string_value"]


def test_a_class_is_named(client, kind, smooth):
    given = [image(kind), tensor(kind, "target_name", np.array([b"c"], object), "BYTES")]
    result = client.infer("smooth", given)
    np.testing.assert_array_equal(result.as_numpy("attribution"), smooth.attribute(IMAGES, "c").values)


@pytest.mark.parametrize("name", ["probabilities", "walk"])
def test_what_is_answered_only_when_it_is_asked_for(client, kind, smooth, name):
    result = client.infer("smooth", [image(kind, IMAGES[:1])], outputs=outputs(kind, name))
    assert result.as_numpy("attribution") is None
    expected = smooth.predict(IMAGES[:1]).probabilities if name == "probabilities" else None
    assert result.as_numpy(name).dtype == np.float32
    assert expected is None or np.allclose(result.as_numpy(name), expected)


@pytest.mark.parametrize(
    ("model", "change", "status", "said"),
    [
        ("nobody", {}, "404", "nobody"),
        ("smooth", {"version": "7"}, "404", "smooth"),
        ("smooth", {"parameters": {"method": "neflog"}}, "400", "no method 'neflog': the nearest is neflag"),
        ("smooth", {"parameters": {"steps": 3}}, "400", "parameter 'steps': the nearest"),
        ("smooth", {"outputs": ["heat"]}, "400", "heat"),
        ("smooth", {"array": np.full((1, 1, 6, 6), np.nan, np.float32)}, "400", "NaN"),
        ("smooth", {"array": np.zeros((1, 1, 7, 6), np.float32)}, "400", "Expected [-1,1,6,6]"),
        ("smooth", {"array": np.zeros((0, 1, 6, 6), np.float32)}, "400", "0 images"),
        ("smooth", {"array": np.zeros((300, 1, 6, 6), np.float32)}, "400", "300 images"),
        ("smooth", {"target": 4}, "400", "target 4 is not a class"),
        ("smooth", {"parameters": {"deadline_ms": -4}}, "400", "deadline_ms"),
        ("smooth", {"name": "picture"}, "400", "picture"),
        ("smooth", {"name": "baseline", "array": np.zeros((1, 6, 6), np.float32)}, "400", "no image"),
        ("smooth", {"parameters": {"method": "neflag", "n": 10**9}}, "400", "fewer steps"),
        ("smooth", {"parameters": {**LONG, "deadline_ms": 20}}, "503", "deadline"),
    ],
)
def test_errors_say_what_is_wrong(client, kind, model, change, status, said):
    inputs = [tensor(kind, change.get("name", "image"), change.get("array", IMAGES), "FP32")]
    if "target" in change:
        inputs.append(tensor(kind, "target", np.array([change["target"]]), "INT64"))
    asked = outputs(kind, *change["outputs"]) if "outputs" in change else None
    parameters = change.get("parameters", {"method": "integrated-gradients"} if "name" in change else None)
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, change.get("version", ""), outputs=asked, parameters=parameters)
    names = {"400": "INVALID_ARGUMENT", "404": "NOT_FOUND", "503": "UNAVAILABLE"}
    found = caught.value.status()
    assert found == (status if kind == "http" else f"StatusCode.{names[status]}")
    assert said in caught.value.message()


def test_tritons_own_timeout_is_a_deadline(client, kind):
    with pytest.raises(InferenceServerException, match="deadline"):
        client.infer("smooth", [image(kind)], timeout=20_000, parameters=LONG)


def test_many_callers_at_once(server, kind, smooth):
    """Each has its own answer, also those whose neighbour is wrong."""

    def ask(number):
        with KINDS[kind].InferenceServerClient(getattr(server, kind)) as client:
            array = models.images("smooth", 3, seed=number)
            if number % 4 == 3:
                array[0] = np.nan
                with pytest.raises(InferenceServerException, match="NaN"):
                    client.infer("smooth", [image(kind, array)])
                return
            found = client.infer("smooth", [image(kind, array)], request_id=str(number))
            expected = smooth.attribute(array)
            np.testing.assert_array_equal(found.as_numpy("steps"), expected.steps)
            np.testing.assert_allclose(
                found.as_numpy("attribution"), expected.values, rtol=1e-4, atol=1e-6
            )  # evaluations are shared, in which small matrix products round otherwise

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(24)))


def test_a_whole_methods_configuration_gives_the_file_its_shapes(server, kind, smooth):
    """Warm-up, reshaping and batching by Triton itself, of the file in ONNX Runtime."""

    def ask(number):
        array = models.images("smooth", 2, seed=number)
        target = np.array([[-1], [number % 4]])
        given = [image(kind, array), tensor(kind, "target", target, "INT64")]
        with KINDS[kind].InferenceServerClient(getattr(server, kind)) as client:
            found = client.infer("whole", given)
        chosen = [int(smooth.predict(array[:1]).classes[0, 0]), number % 4]
        expected = smooth.attribute(array, chosen, method=MFABA(max_steps=10))
        np.testing.assert_allclose(found.as_numpy("attribution"), expected.values, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found.as_numpy("steps"), expected.steps[:, None])
        np.testing.assert_array_equal(found.as_numpy("explained"), expected.target[:, None])

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(12)))


def test_a_caller_that_cancels_makes_room(server):
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        ended = []
        call = client.async_infer(
            "full", [image("grpc")], lambda result, error: ended.append(error),
            parameters={"method": "neflag", "n": 100_000},
        )  # fmt: skip
        _until(client, room=False)
        call.cancel()
        _until(client, room=True)
        assert len(ended) == 1


def _until(client, room):
    end = time.monotonic() + 20
    while True:
        found = "room"
        try:
            client.infer("full", [image("grpc", IMAGES[:1])], parameters={"method": "saliency"})
        except InferenceServerException as error:
            found = error.message()
        if (found == "room") == room:
            assert room or "wait or run" in found
            return
        assert time.monotonic() < end
