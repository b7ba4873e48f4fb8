"""The blocked layout: fewer reorders in ONNX Runtime, the same numbers, and nothing where none is gained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from fluxpath.export import gradient_from_onnx
from fluxpath.export.passes.layout import keep_blocked

SHORTCUT = """
<ir_version: 10, opset_import: ["": 20]>
graph (float[batch,3,8,8] x) => (float[batch,10] logits)
{
    stem = Conv<pads=[1,1,1,1]>(x, w0)
    a = Relu(stem)
    narrow = Slice(a, starts, ends, axes, steps)
    skip = Pad(narrow, pads)
    down = Conv<pads=[1,1,1,1], strides=[2,2]>(a, w1)
    b = Add(down, skip)
    c = Relu(b)
    d = Conv<pads=[1,1,1,1]>(c, w2)
    e = Add(d, c)
    f = Relu(e)
    pooled = GlobalAveragePool(f)
    flat = Flatten(pooled)
    logits = MatMul(flat, w3)
}
"""


@pytest.fixture
def model():
    """A stem and two residual blocks, the first with the shortcut of the CIFAR ResNets."""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(SHORTCUT)
    arrays = {
        "w0": rng.standard_normal((16, 3, 3, 3)) / 3,
        "w1": rng.standard_normal((32, 16, 3, 3)) / 12,
        "w2": rng.standard_normal((32, 32, 3, 3)) / 17,
        "w3": rng.standard_normal((32, 10)),
    }
    integers = {
        "starts": [0, 0],
        "ends": [8, 8],
        "axes": [2, 3],
        "steps": [2, 2],
        "pads": [0, 8, 0, 0, 0, 8, 0, 0],
    }
    for name, array in arrays.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    for name, numbers in integers.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(numbers, np.int64), name))
    return proto


def reorders(model: onnx.ModelProto, folder: Path) -> int:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # that the optimized model is for this machine only is known
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ops = Counter(n.op_type for n in onnx.load(folder / "optimized.onnx").graph.node)
    return ops["ReorderInput"] + ops["ReorderOutput"]


def without_anchors(model: onnx.ModelProto) -> onnx.ModelProto:
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    renamed = {n.output[0]: n.input[0] for n in plain.graph.node if "blocked" in n.name}
    kept = [n for n in plain.graph.node if n.output[0] not in renamed]
    for node in kept:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
    del plain.graph.node[:]
    plain.graph.node.extend(kept)
    return plain


def test_a_gradient_graph_keeps_its_layout_and_its_numbers(model, tmp_path):
    onnx.save(model, tmp_path / "model.onnx")
    written = onnx.load(gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "g.onnx").path)
    plain = without_anchors(written)
    assert len(plain.graph.node) < len(written.graph.node)
    without = reorders(plain, tmp_path)
    # None at all on a processor for which ONNX Runtime has no blocked convolutions.
    assert reorders(written, tmp_path) < without or without == 0
    x = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)
    feeds = {"x": x, "target": np.array([3, -1])}
    with np.errstate(over="ignore"):  # the rectifier's mask multiplies by 3e38
        results = [ReferenceEvaluator(m).run(None, feeds) for m in (written, plain)]
    for a, b in zip(*results, strict=True):
        assert a.tobytes() == b.tobytes()


def test_shapes_of_gradients_are_written(model, tmp_path):
    """Without them a runtime does not see that an expanded gradient has the size of the image it meets."""
    onnx.save(model, tmp_path / "model.onnx")
    written = onnx.load(gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "g.onnx").path)
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in written.graph.value_info
    }
    expanded = [n.output[0] for n in written.graph.node if n.op_type == "Expand"]
    assert [shapes[name] for name in expanded] == [["batch", 32, 4, 4]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -3.0, 0.0])
def test_the_identity_is_one_for_every_number(model, value):
    """Also for those that are none: a NaN must reach the engine, which reports it."""
    node = onnx.helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[1, 1])
    ends = [onnx.helper.make_tensor_value_info(n, 1, [1, 16, 4, 4]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    single = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(single.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.full((1, 16, 4, 4), value, np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x)


def test_no_anchor_where_no_convolution_follows():
    text = """
    <ir_version: 10, opset_import: ["": 20]>
    graph (float[batch,16,8,8] x, float[batch,16,8,8] z) => (float[batch,16,8,8] y)
    {
        a = Conv<pads=[1,1,1,1]>(x, w)
        b = Add(a, z)
        y = Relu(b)
    }
    """
    proto = onnx.parser.parse_model(text)
    weight = np.ones((16, 16, 3, 3), np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    before = len(list(graph.graph))
    keep_blocked(graph)
    assert len(list(graph.graph)) == before
