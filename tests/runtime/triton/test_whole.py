"""The configuration of a whole method is the file's own description, read by Triton's definition."""

from __future__ import annotations

import re

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from onnx import TensorProto
from tritonclient.grpc import model_config_pb2 as pb
from whole_files import METHODS, opened

from fluxpath.errors import ArtifactError
from fluxpath.export import attribution_from_gradient, attribution_from_onnx
from fluxpath.manifest import UNSEALED
from fluxpath.runtime import Status
from fluxpath.runtime.triton.options import Options
from fluxpath.runtime.triton.repository import write
from fluxpath.seal import seal

TYPES = {
    TensorProto.FLOAT: pb.TYPE_FP32,
    TensorProto.INT64: pb.TYPE_INT64,
    TensorProto.INT32: pb.TYPE_INT32,
}


def written(path, folder, **options):
    """The repository's folder of the model, and its configuration."""
    write([f"m={path}"], folder / "out", Options(**options))
    text = (folder / "out" / "m" / "config.pbtxt").read_text(encoding="utf-8")
    return folder / "out" / "m", text_format.Parse(text, pb.ModelConfig())


def full(described, config):
    """The shape that the file is given, -1 for any size, of an input or output of a configuration."""
    inner = described.reshape.shape if described.HasField("reshape") else described.dims
    return [-1, *inner] if config.max_batch_size else list(inner)


@pytest.mark.parametrize("method", METHODS)
def test_names_types_and_sizes_are_the_files(graph, tmp_path, method):
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method=method, settings=METHODS[method])
    folder, config = written(path, tmp_path, max_batch=7, delay=2.5, instances=3)
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 7)
    assert config.dynamic_batching.max_queue_delay_microseconds == 2500
    assert [(g.kind, g.count) for g in config.instance_group] == [(pb.ModelInstanceGroup.KIND_CPU, 3)]
    assert config.parameters["method"].string_value == method
    file = onnx.load(folder / "1" / config.default_model_filename).graph
    defaults = {i.name for i in file.initializer}
    for values, told in ((file.input, config.input), (file.output, config.output)):
        true = {
            v.name: (
                TYPES[v.type.tensor_type.elem_type],
                [d.dim_value or -1 for d in v.type.tensor_type.shape.dim],
            )
            for v in values
            if v.name not in defaults
        }
        assert {t.name: (t.data_type, full(t, config)) for t in told} == true
        assert all(len(t.dims) >= 1 for t in told), "Triton refuses empty dims"


def test_it_runs_with_the_shapes_that_triton_sends(graph, tmp_path):
    """What callers send is [n, *dims]; the file gets it reshaped, and so for the answers."""
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method="mfaba-sharp", settings={"max_steps": 10})
    folder, config = written(path, tmp_path)
    images = models.images("smooth", 3)
    sent = {"image": images, "target": np.array([[-1], [2], [0]])}
    session = onnxruntime.InferenceSession(
        folder / "1" / config.default_model_filename, providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for told in config.input:
        assert sent[told.name].shape == (3, *told.dims)
        feeds[told.name] = sent[told.name].reshape(3, *full(told, config)[1:])
    answers = dict(
        zip((o.name for o in config.output), session.run([o.name for o in config.output], feeds), strict=True)
    )
    for told in config.output:
        assert answers[told.name].reshape(3, *told.dims).size == answers[told.name].size
    expected = opened(path)(images, [-1, 2, 0])
    np.testing.assert_array_equal(answers["attribution"], expected["attribution"])


def test_the_warm_up_is_an_image_that_is_walked(graph, tmp_path):
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method="mfaba-sharp", settings={"max_steps": 10})
    folder, config = written(path, tmp_path)
    (warm,) = config.model_warmup
    feeds = {}
    for name, given in warm.inputs.items():
        dtype = {pb.TYPE_FP32: np.float32, pb.TYPE_INT64: np.int64}[given.data_type]
        data = np.fromfile(folder / "warmup" / given.input_data_file, dtype)
        assert data.size == np.prod(given.dims)
        feeds[name] = data
    answer = opened(folder / "1" / "model.onnx")(feeds["image"].reshape(1, 1, 6, 6), feeds["target"])
    assert answer["status"][0] != Status.NON_FINITE


def test_an_input_without_a_row_for_each_image_rules_batches_out(tmp_path):
    """The noise of a model with open sizes must be given, and is not the batch's."""
    source, path = tmp_path / "open.onnx", tmp_path / "whole.onnx"
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> m (float[batch, 1, h, w] x) => (float[batch, 1] y)'
        "{ a = Tanh(x) p = GlobalAveragePool(a) y = Flatten(p) }"
    )
    onnx.save(model, source)
    attribution_from_onnx(source, path, method="neflag", settings={"n": 2}, objective="logit")
    _, config = written(path, tmp_path)
    noise = next(i for i in config.input if i.name == "noise")
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert noise.dims[0] == 2 and list(config.input[0].dims) == [-1, 1, -1, -1]
    assert list(config.model_warmup[0].inputs["noise"].dims)[:1] == [2]


def test_a_file_whose_manifest_names_other_inputs_is_refused(graph, tmp_path):
    """Anybody can seal a file."""
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method="mfaba-sharp", settings={"max_steps": 10})
    model = onnx.load(path)
    (entry,) = model.metadata_props
    entry.value = re.sub(r'("digest": ")[0-9a-f]{64}', r"\g<1>" + UNSEALED, entry.value)
    entry.value = entry.value.replace('"input": "image"', '"input": "other"')
    path.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(ArtifactError, match="not those of its manifest"):
        write([str(path)], tmp_path / "out")
