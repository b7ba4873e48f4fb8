"""The model of the Python backend, with requests as the backend gives them; test_on_triton has a real one."""

from __future__ import annotations

import json
import time

import models
import numpy as np
import pytest
import triton_python_backend_utils as triton
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from triton_python_backend_utils import Request
from tritonclient.grpc import model_config_pb2 as pb

from fluxpath.runtime import Explainer, NeFLAG
from fluxpath.runtime.triton.backend import TritonPythonModel, device_of
from fluxpath.runtime.triton.repository import write

IMAGES = models.images("smooth", 3)
ROOM = {"max_images": "4", "max_queue_images": "4", "max_queue_evaluations": "1000000000"}
LONG = {"method": "neflag", "n": 3000, "max_steps": 20}


def arguments(folder, **parameters):
    """What the backend gives `initialize`; parameters: more of the configuration's."""
    text = (folder / "config.pbtxt").read_text(encoding="utf-8")
    config = MessageToDict(text_format.Parse(text, pb.ModelConfig()), preserving_proto_field_name=True)
    config["parameters"] |= {name: {"string_value": value} for name, value in parameters.items()}
    return {
        "model_config": json.dumps(config), "model_name": "m", "model_version": "1",
        "model_repository": str(folder), "model_instance_kind": "CPU", "model_instance_device_id": "0",
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("triton") / "out"
    write([f"m={graph('smooth', class_names=('a', 'b', 'c', 'd'))}"], folder)
    return folder / "m"


@pytest.fixture(scope="module")
def outputs(folder):
    return [o["name"] for o in json.loads(arguments(folder)["model_config"])["output"]]


@pytest.fixture
def model(folder):
    model = TritonPythonModel()
    model.initialize(
        arguments(folder, max_images="4", max_queue_images="4", max_queue_evaluations="1000000000")
    )
    yield model
    model.finalize()


@pytest.fixture
def ask(model, outputs):
    """`ask(arrays, **parameters)` is the answer to one request for all outputs, or for those named."""

    def ask(arrays, names=outputs, **parameters):
        request = Request(arrays, names, **parameters)
        assert model.execute([request]) is None
        return request.answered()

    return ask


def test_the_answer_is_attributes(ask, folder):
    found = ask({"image": IMAGES, "target_name": np.array([b"c"], object)}, method="neflag", n=3, seed=5)
    with Explainer(folder / "1" / "model.grad.onnx") as explainer:
        expected = explainer.attribute(IMAGES, 2, method=NeFLAG(n=3, seed=5))
    np.testing.assert_array_equal(found.outputs["attribution"], expected.values)
    assert found.outputs["target"].tolist() == [2, 2, 2]
    assert json.loads(found.outputs["provenance"][0])["seed"] == 5
    assert "walk" not in found.outputs, "that nobody asked for"


def test_only_what_is_asked_for(ask):
    found = ask({"image": IMAGES}, ["probabilities"])
    assert list(found.outputs) == ["probabilities"]


@pytest.mark.parametrize(
    ("arrays", "parameters", "code", "said"),
    [
        ({"image": IMAGES * np.nan}, {}, "invalid", "NaN"),
        ({}, {}, "invalid", "there is no image"),
        ({"image": IMAGES, "levels": np.zeros((3, 6, 6, 1), np.uint8)}, {}, "invalid", "two inputs"),
        ({"image": IMAGES}, {"method": "os:system"}, "invalid", "there is no method"),
        ({"image": IMAGES}, {"deadline_ms": -1}, "invalid", "deadline_ms"),
        ({"image": IMAGES}, {**LONG, "timeout": 20_000}, "unavailable", "deadline"),
        ({"image": np.zeros((5, 1, 6, 6), np.float32)}, {}, "invalid", "1 to 4"),
    ],
)
def test_errors_are_each_callers_own(model, outputs, arrays, parameters, code, said):
    bad, good = Request(arrays, outputs, **parameters), Request({"image": IMAGES[:1]}, outputs)
    model.execute([bad, good])
    assert bad.answered().error.code == code and said in bad.response.error.message
    assert good.answered().error is None


def test_a_fault_of_the_servers_own_goes_to_its_log(model, ask, monkeypatch):
    monkeypatch.setattr(model._service, "infer", lambda request: 1 / 0)
    error = ask({"image": IMAGES}).error
    assert error.code == "internal" and "division" not in error.message
    assert "ZeroDivisionError" in triton.Logger.lines[-1] and "'mine'" in triton.Logger.lines[-1]


def test_requests_of_any_batch_share_evaluations(model, outputs):
    before = model._served.explainer.stats()
    requests = [Request({"image": IMAGES[:1]}, outputs, method="neflag", n=50) for _ in range(4)]
    model.execute(requests[:2])
    for request in requests[2:]:
        model.execute([request])
    assert all(request.answered().error is None for request in requests)
    stats = model._served.explainer.stats()
    assert stats.lanes - before.lanes > 8 * (stats.evaluations - before.evaluations)


def test_a_caller_that_goes_frees_its_place(model, outputs):
    """While a long request runs others are answered; when there is no room they are told so."""
    long = Request({"image": IMAGES}, outputs, **LONG)
    model.execute([long])
    quick, late = Request({"image": IMAGES[:1]}, outputs), Request({"image": IMAGES[:2]}, outputs)
    model.execute([quick])
    model.execute([late])
    assert quick.answered().error is None
    assert late.answered().error.code == "unavailable" and "wait or run" in late.response.error.message
    assert long.response is None
    long.cancelled = True
    assert long.answered().error.code == "cancelled"
    deadline = time.monotonic() + 10
    while model._served.explainer.stats().images:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_sent_may_change_when_execute_has_returned(model, outputs, folder):
    """Triton writes the next requests where the last ones were."""
    sent = IMAGES.copy()
    request = Request({"image": sent}, outputs, method="neflag", n=50)
    model.execute([request])
    sent[:] = 0
    with Explainer(folder / "1" / "model.grad.onnx") as explainer:
        expected = explainer.attribute(IMAGES, method=NeFLAG(n=50)).score
    np.testing.assert_allclose(request.answered().outputs["score"], expected, rtol=1e-5)


def test_a_response_that_cannot_be_sent_does_not_stop_the_model(model, ask, outputs):
    request = Request({"image": IMAGES}, outputs)
    request.send = lambda response, flags: 1 / 0
    model.execute([request])
    assert ask({"image": IMAGES[:1]}).error is None
    deadline = time.monotonic() + 10
    while not any("could not be sent" in line for line in triton.Logger.lines):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_runs_at_the_end_is_told_so(folder, outputs):
    model = TritonPythonModel()
    model.initialize(arguments(folder, max_queue_evaluations="1000000000"))
    request = Request({"image": IMAGES}, outputs, **LONG)
    model.execute([request])
    model.finalize()
    assert request.answered().error.code == "unavailable"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"slots": "many"}, "'slots' is 'many'"), ({"slots": "0"}, "slots"), ({"method": "x"}, "no method")],
)
def test_a_configuration_that_is_wrong_is_told_in_a_sentence(folder, parameters, said):
    with pytest.raises(triton.TritonModelException, match=said):
        TritonPythonModel().initialize(arguments(folder, **parameters))


def test_a_gpu_is_the_instances(folder):
    given = arguments(folder)
    assert device_of(given) == "cpu"
    given |= {"model_instance_kind": "GPU", "model_instance_device_id": "1"}
    assert device_of(given) == "cuda:1"
