"""What Triton is told of a gradient graph is what the server tells."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2 as pb

from fluxpath.runtime import read_manifest
from fluxpath.runtime.serve import Settings
from fluxpath.runtime.serve.protocol.served import Described
from fluxpath.runtime.triton.graph import PROVENANCE, config_of, inputs_of, meaning_of
from fluxpath.runtime.triton.options import Options


@pytest.fixture(scope="module")
def served(graph):
    manifest = read_manifest(graph("smooth", class_names=("a", "b", "c", "d")))
    return Described("m", "1", manifest, (1, 6, 6), "0", Settings())


def test_inputs_and_outputs_are_the_servers(served):
    config = ParseDict(config_of(served, Options()), pb.ModelConfig())
    assert (config.backend, config.max_batch_size) == ("python", 0)
    assert not config.model_transaction_policy.decoupled
    dims = {i.name: list(i.dims) for i in config.input}
    assert all(i.optional for i in config.input), "what is missing is told by fluxpath's own sentence"
    assert dims["image"] == [-1, 1, 6, 6] and dims["target"] == [-1]
    outputs = {o.name: list(o.dims) for o in config.output}
    assert outputs == {n: shape for n, (_, shape) in served.outputs.items()} | {PROVENANCE: [-1]}
    assert config.parameters["sha256"].string_value == "0"


def test_every_setting_that_is_an_array_is_an_input(served):
    """With the dimensions that the methods take; images have those of the input."""
    ranks = {name: len(shape) for name, (_, shape) in inputs_of(served).items()}
    assert ranks == {
        "image": 4, "target": 1, "photo": 1, "levels": 4, "target_name": 1,
        "baseline": 3, "background": 4, "references": 4, "densities": 1, "radii": 1,
    }  # fmt: skip


def test_other_datatypes_mean_the_same_input(served):
    meant = {name: meaning_of(name, served) for name in inputs_of(served)}
    assert meant["photo"] == meant["levels"] == meant["image"] == "image"
    assert meant["target_name"] == "target" and meant["baseline"] == "baseline"
