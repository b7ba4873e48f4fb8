"""ONNX Runtime on the host: what is missing, and files that are no intact gradient graph."""

from __future__ import annotations

import json
import sys

import models
import onnx
import onnxruntime
import pytest
from artifacts import UNSEALED, fields_of, resealed, with_fields, with_graph

from fluxpath.errors import ArtifactError, FluxpathError, ProviderError
from fluxpath.runtime import Explainer, OnnxSession

INTACT = "no intact gradient graph of fluxpath: write one with 'fluxpath export MODEL.onnx -o NAME.grad.onnx'"
ALTERED = "truncated or was altered after export: export the model again"


@pytest.fixture
def path(graph):
    return graph("linear")


@pytest.fixture
def write(tmp_path):
    def file(data: bytes):
        made = tmp_path / "made.grad.onnx"
        made.write_bytes(data)
        return made

    return file


def refuse(path, message):
    with pytest.raises(ArtifactError, match=message):
        OnnxSession(path, threads=1)
    with pytest.raises(ArtifactError, match=message):
        Explainer(path, threads=1)


def accept(path):
    """An altered file that is right again: proof that it is not the altering that is refused."""
    with Explainer(path, threads=1) as explainer:
        return explainer.attribute(models.images("linear", 1))


# --- not a gradient graph at all


def test_a_file_that_is_not_there(tmp_path):
    refuse(tmp_path / "nothing.onnx", "there is no gradient graph '.*nothing.onnx'")
    refuse(tmp_path, "there is no gradient graph")


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a model" * 1000, b"\x89PNG\r\n\x1a\n" + bytes(5000)])
def test_a_foreign_file(write, data):
    refuse(write(data), INTACT)


def test_the_model_itself(tmp_path):
    onnx.save(models.linear(), tmp_path / "linear.onnx")
    refuse(tmp_path / "linear.onnx", INTACT)


def test_text_that_holds_a_seal(write):
    """Words that look like one, in a file that is no protobuf message."""
    refuse(write(b'{"digest": "%s", "format": 1}' % UNSEALED.encode()), INTACT)


def test_a_model_whose_seal_lies_elsewhere(write, path):
    """The manifest's text in the documentation string, and no manifest."""
    proto = onnx.load(path)
    proto.doc_string = json.dumps(fields_of(proto))
    del proto.metadata_props[:]
    refuse(write(proto.SerializeToString()), INTACT)


# --- not intact


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9, 0.999])
def test_a_truncated_file(write, path, share):
    data = path.read_bytes()
    refuse(write(data[: int(share * len(data))]), f"{INTACT}|{ALTERED}")


def test_one_byte_more_or_less(write, path):
    data = path.read_bytes()
    for wrong in (data[:-1], data + b"\x00", b"\x00" + data, data + data[-1:]):
        refuse(write(wrong), f"{INTACT}|{ALTERED}")


def test_two_files_in_one(write, path):
    refuse(write(path.read_bytes() * 2), "more than one seal")


def test_an_altered_weight(write, path):
    data = bytearray(path.read_bytes())
    weight = models.linear().graph.initializer[0].raw_data
    place = bytes(data).find(weight[:64])
    assert place > 0
    data[place + 3] ^= 1
    refuse(write(bytes(data)), ALTERED)


def test_an_altered_seal(write, path):
    data = path.read_bytes()
    for digest in (b"0" * 64, b"f" * 64):
        start = data.index(b'"digest": "') + len('"digest": "')
        refuse(write(data[:start] + digest + data[start + 64 :]), ALTERED)
    upper = data[:start] + data[start : start + 64].upper() + data[start + 64 :]
    refuse(write(upper), INTACT)


# --- sealed, and wrong inside


def test_a_change_that_changes_nothing_is_accepted(write, path):
    wanted = accept(path)
    given = accept(write(with_fields(path)))
    assert given.values.tobytes() == wanted.values.tobytes()


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, 1.5, ...])
def test_another_format_version(write, path, version):
    refuse(write(with_fields(path, format=version)), "has gradient-graph format .*, this release reads 1")


WRONG_FIELDS = {
    "input": ["", None, 3, ...],
    "shape": ["1x6x6", [1, 6, 0], [1, 6, -6], [1, 6, 6.0], [1, True, 6], None, {}, ...],
    "classes": [0, -4, 4.0, "4", None, True, ...],
    "objective": ["", None, ...],
    "opset": [0, "20", 20.0, ...],
    "low": ["0", [0.0], True, float("nan"), float("-inf"), -(10**400), ...],
    "high": ["1", {}, False, float("nan"), float("inf"), 10**400, ...],
    "mean": [0.5, ["0.5"], [None], ...],
    "class_names": ["cat", [1], [None], ...],
    "factored": [1, None, "true", ...],
    "error": ["small", ...],
    "producer": ["", 1, ...],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n, values in WRONG_FIELDS.items() for v in values],
    ids=lambda v: f"{v!r}"[:20],
)
def test_a_manifest_with_a_wrong_field(write, path, name, value):
    refuse(write(with_fields(path, **{name: value})), f"the manifest's field '{name}' is .*, it must be")


def test_a_manifest_with_an_unknown_field(write, path):
    refuse(write(with_fields(path, extra=1)), "the manifest has the unknown field 'extra'")


@pytest.mark.parametrize(
    "text",
    [
        '{"digest": "%s"',
        '["digest", {"digest": "%s"}]',
        '{"digest": "%s"} {}',
        '{"digest": "%s", "a": ' + 100_000 * "[",
    ],
    ids=["open", "array", "two", "deep"],
)
def test_a_manifest_that_is_no_json_object(write, path, text):
    refuse(write(resealed(onnx.load(path), text % UNSEALED)), "the manifest is not (JSON|a JSON object)")


def test_a_manifest_of_another_input(write, path):
    refuse(write(with_fields(path, input="picture")), "no input 'picture' of type tensor\\(float\\)")
    refuse(write(with_fields(path, input="target")), "the manifest's inputs' names do not fit")


@pytest.mark.parametrize("shape", [[1, 6, 7], [36], [1, 6, 6, 1], [], [1, 6, None], [None, None, None]])
def test_a_manifest_of_another_shape(write, path, shape):
    refuse(write(with_fields(path, shape=shape)), r"input has shape \(1, 6, 6\) and its manifest says")


@pytest.mark.parametrize("name", ["score", "label", "gradient", "scale"])
def test_a_graph_without_one_of_its_outputs(write, path, name):
    def drop(graph):
        kept = [o for o in graph.output if o.name != name]
        del graph.output[:]
        graph.output.extend(kept)

    refuse(write(with_graph(path, drop)), f"the graph has no output '{name}' of type")


def test_a_graph_with_a_further_input(write, path):
    def add(graph):
        graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, ["batch"]))

    refuse(write(with_graph(path, add)), "the graph has the further input 'mask', which nothing feeds")


def test_a_graph_with_an_operator_that_nobody_knows(write, path):
    def alter(graph):
        graph.node[0].op_type = "Abracadabra"

    refuse(write(with_graph(path, alter)), "ONNX Runtime cannot load .*Abracadabra")


def test_a_graph_that_fails_when_it_runs(write, path):
    """The result has another size than the manifest promises: an error, and no write past the array."""

    def double(graph):
        last = next(n for n in graph.node if "gradient" in n.output)
        last.output[0] = "half"
        graph.node.append(onnx.helper.make_node("Concat", ["half", "half"], ["gradient"], axis=1))
        del next(o for o in graph.output if o.name == "gradient").type.tensor_type.shape.dim[:]

    with Explainer(write(with_graph(path, double)), threads=1) as explainer:
        future = explainer.submit(models.images("linear", 2))
        with pytest.raises(FluxpathError, match="ONNX Runtime failed on the gradient graph"):
            future.result(20)


@pytest.mark.parametrize("classes", [3, 10])
def test_a_manifest_of_another_number_of_classes(write, path, classes):
    refuse(write(with_fields(path, classes=classes)), f"4 logits per row, and its manifest {classes}")


@pytest.mark.parametrize("providers", [["NoSuchExecutionProvider"], ["CPUExecutionProvider", "TPU"]])
def test_a_provider_that_is_not_there(graph, providers):
    with pytest.raises(ProviderError, match=rf"'{providers[-1]}' here, it has .*CPUExecutionProvider"):
        Explainer(graph("linear"), providers=providers)


def test_onnxruntime_that_is_not_there(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r'onnxruntime is not installed: pip install "fluxpath\[cpu\]"'):
        Explainer(graph("linear"))


# --- how it is opened


def test_activations_take_no_more_memory_than_the_first_evaluation_s(path):
    """Patterns and planned buffers would take two to three times as much, in the same time."""
    options = OnnxSession(path, threads=1)._session.get_session_options()
    assert not options.enable_mem_pattern and not options.enable_mem_reuse
    assert options.execution_order == onnxruntime.ExecutionOrder.PRIORITY_BASED


def test_a_profile_is_written_where_it_is_asked_for_alone(path, tmp_path):
    session = OnnxSession(path, threads=1, profile=str(tmp_path / "here"))
    assert session.end_profile().parent == tmp_path
    OnnxSession(path, threads=1)
    assert len(list(tmp_path.glob("here*"))) == 1
