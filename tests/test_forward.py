"""A gradient graph cut at its logits computes what the model did, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import models
import numpy as np
import onnx
import onnxruntime
import pytest
import small

from fluxpath.artifact import read_sealed
from fluxpath.errors import ArtifactError
from fluxpath.export import gradient_from_onnx
from fluxpath.forward import OUTPUT, forward_part
from fluxpath.seal import unseal


def run(data: bytes, **feeds: Any) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], feeds)[0]


@pytest.mark.parametrize("name", ["smooth", "relu", "linear"])
def test_the_logits_of_the_model(graph: Any, name: str) -> None:
    file = read_sealed(graph(name))
    part = forward_part(file.data, file.manifest.logits)
    x = models.images(name, 3)
    np.testing.assert_allclose(
        run(part.data, image=x), expected(models.MODELS[name](), x), rtol=1e-5, atol=1e-5
    )
    proto, whole = (onnx.load_model_from_string(data) for data in (part.data, file.data))
    assert part.inputs == {"image"} == {v.name for v in proto.graph.input}
    assert part.initializers == {t.name for t in proto.graph.initializer}
    assert [v.name for v in proto.graph.output] == [OUTPUT] and not proto.metadata_props
    assert len(proto.graph.node) < len(whole.graph.node)
    assert list(proto.opset_import) == list(whole.opset_import)


def expected(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def test_logits_behind_a_softmax(tmp_path: Path) -> None:
    """They are no output of the model."""
    model = small.cnn("y = Softmax(z)")
    path = small.export(model, tmp_path).path
    file, x = read_sealed(path), small.images(2)
    logits = run(forward_part(file.data, file.manifest.logits).data, x=x).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), small.run(path, x, 0)["y"], rtol=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_float32(tmp_path: Path, precision: str) -> None:
    model = small.cnn("y = Softmax(z)")
    file = read_sealed(small.export(model, tmp_path, precision=precision).path)
    part = forward_part(file.data, file.manifest.logits)
    (output,) = onnx.load_model_from_string(part.data).graph.output
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    if precision == "float16":  # ONNX Runtime has few operators of bfloat16 on the CPU
        logits = run(part.data, x=small.images(2))
        assert logits.dtype == np.float32 and logits.shape == (2, 5)


def test_graphs_within_nodes_read_what_is_outside() -> None:
    """And optional inputs that are left out are no value."""
    text = """
        big = ReduceSum<keepdims=0>(x)
        none = Constant<value_float=0.0>()
        yes = Greater(big, none)
        w2 = Add(w, w)
        z = If(yes)<
            then_branch = a() => (float[n, c] t) { t = MatMul(x, w2) },
            else_branch = b() => (float[n, c] e) { e = MatMul(x, v) }>
        c = Clip(z, , top)
        other = MatMul(x, v)
    """
    graph = onnx.parser.parse_graph(f"g (float[n,4] x) => (float[n,3] c, float[n,3] other) {{{text}}}")
    rng = np.random.default_rng(0)
    w, v = (rng.standard_normal((4, 3)).astype(np.float32) for _ in range(2))
    graph.initializer.extend(
        onnx.numpy_helper.from_array(a, n)
        for n, a in (("w", w), ("v", v), ("top", np.float32([9.0]).reshape(())))
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    part = forward_part(model.SerializeToString(), "c")
    x = rng.random((2, 4)).astype(np.float32)
    np.testing.assert_allclose(run(part.data, x=x), x @ (2 * w), rtol=1e-5)
    np.testing.assert_allclose(run(part.data, x=-x), -x @ v, rtol=1e-5)
    assert part.initializers == {"w", "v", "top"}
    assert len(onnx.load_model_from_string(part.data).graph.node) == len(graph.node)  # one less, and the cast
    assert forward_part(model.SerializeToString(), "other").initializers == {"v"}


def test_a_graph_without_its_logits(graph: Any) -> None:
    data = graph("linear").read_bytes()
    for name in ("gone", "image", ""):
        with pytest.raises(ArtifactError, match=f"the graph does not compute '{name}', the logits"):
            forward_part(data, name)
    assert unseal(data).manifest.logits == "logits"


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_what_is_no_model(graph: Any, share: float) -> None:
    data = graph("linear").read_bytes()
    with pytest.raises(ArtifactError):
        forward_part(data[: int(share * len(data))], "logits")


def masked() -> onnx.ModelProto:
    text = "g (float[n,5] x, float[n,5] mask) => (float[n,3] y) { m = Mul(x, mask) y = MatMul(m, v) }"
    graph = onnx.parser.parse_graph(text)
    v = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(v, "v"))
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def test_companions_that_logits_need_stay(tmp_path: Path) -> None:
    onnx.save(masked(), tmp_path / "m.onnx")
    file = read_sealed(gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input="x").path)
    assert forward_part(file.data, file.manifest.logits).inputs == {"x", "mask"}
