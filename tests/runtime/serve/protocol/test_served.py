"""What a model says of itself."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing

import pytest
from google.protobuf.json_format import ParseDict
from sessions import LinearSession
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc import service_pb2 as pb

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends.opening import open_session
from fluxpath.runtime.serve.protocol.served import DEFAULT_OUTPUTS, Served
from fluxpath.runtime.serve.settings import Settings


@pytest.fixture(scope="module")
def served(graph):
    served = Served.open("m", "1", graph("smooth"), Settings(slots=3))
    yield served
    served.close()


def test_the_digest_is_the_files(served, graph):
    assert served.digest == hashlib.sha256(graph("smooth").read_bytes()).hexdigest()
    assert served.explainer.slots == 3


def test_a_file_that_is_replaced_meanwhile_does_not_lend_its_digest(graph, tmp_path, monkeypatch):
    """Answers name the file that computed them."""
    path = tmp_path / "m.grad.onnx"
    shutil.copy(graph("smooth"), path)

    def late(*arguments):
        session = open_session(*arguments)
        shutil.copy(graph("relu"), path)
        return session

    monkeypatch.setattr("fluxpath.runtime.explainer.open_session", late)
    with closing(Served.open("m", "1", path, Settings())) as served:
        assert served.digest == hashlib.sha256(graph("smooth").read_bytes()).hexdigest()


def test_explainers_that_are_open_already(graph):
    with Explainer(graph("smooth")) as explainer:
        assert Served("m", "1", explainer, Settings()).digest == explainer.sha256
    with Explainer.from_session(LinearSession()) as explainer:
        assert Served("m", "1", explainer, Settings()).digest == "unknown"


def test_one_that_is_closed_is_not_ready(graph):
    served = Served.open("m", "1", graph("smooth"), Settings())
    assert served.ready
    served.close()
    assert not served.ready


def test_metadata_and_config_are_the_protocols(served):
    ParseDict(served.metadata(["1"]), pb.ModelMetadataResponse())
    config = ParseDict(served.config(), model_config_pb2.ModelConfig())
    assert config.input[0].dims == [1, 6, 6] and config.max_batch_size == 256


def test_outputs_that_can_be_asked_for(served):
    assert served.check_outputs(None) == DEFAULT_OUTPUTS
    assert served.check_outputs(("logits",)) == ("logits",)
    for wrong in ((), ("score", "score"), ("gradient",)):
        with pytest.raises(InputError):
            served.check_outputs(wrong)


def test_a_warm_up(served):
    served.warm_up()
    assert served.explainer.stats().done > 0
