"""Zeros padded before a pooling: the written file is right in an ONNX Runtime with its usual optimizers."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from fluxpath.export import gradient_from_onnx
from fluxpath.export.passes.pad_fusion import keep_pads

HEAD = "f = Flatten(m) y = MatMul(f, v)"
POOLS = {
    "maximum": "m = MaxPool<kernel_shape=[3,3], pads=[0,0,0,0], strides=[2,2]>(p)",
    "average": "m = AveragePool<kernel_shape=[3,3], pads=[0,0,0,0], strides=[2,2]>(p)",
}
OUTPUTS = ["y", "score", "label", "gradient", "scale"]


def model(pool: str, pad: str = "p = Pad(x, q)") -> onnx.ModelProto:
    text = f"{pad} {POOLS[pool]} {HEAD}"
    return gradcheck.parse(text, "batch,2,5,5", q=[0, 0, 1, 1, 0, 0, 1, 1], z=0.0, v=(2 * 9, 4))


def anybodys(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    names = [o.name for o in proto.graph.output]
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, feeds)


def negative() -> np.ndarray:
    return -0.5 - np.random.default_rng(2).random((3, 2, 5, 5)).astype(np.float32)


@pytest.mark.parametrize("pad", ["p = Pad(x, q)", "p = Pad(x, q, z)"])
@pytest.mark.parametrize("pool", POOLS)
def test_padded_pooling_in_anybodys_runtime(pool: str, pad: str, tmp_path: Path) -> None:
    onnx.save(model(pool, pad), tmp_path / "m.onnx")
    done = gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input_range=(-2.0, 0.0))
    written = onnx.load(done.path)
    feeds = {"x": negative(), "target": np.array([-1, 0, 3])}
    given = dict(zip([o.name for o in written.graph.output], anybodys(written, feeds), strict=True))
    true = ReferenceEvaluator(written).run(OUTPUTS, feeds)
    for name, value in zip(OUTPUTS, true, strict=True):
        np.testing.assert_allclose(given[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_an_output_beside_the_logits(tmp_path: Path) -> None:
    """No gradient goes through it, so nothing but the guard keeps the fusion off."""
    text = f"p = Pad(x, q) {POOLS['maximum']} f = Flatten(x) y = MatMul(f, v)"
    proto = gradcheck.parse(text, "batch,2,5,5", outputs="y, m", q=[0, 0, 1, 1, 0, 0, 1, 1], v=(2 * 25, 4))
    onnx.save(proto, tmp_path / "m.onnx")
    written = onnx.load(gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input_range=None).path)
    feeds = {"x": negative(), "target": np.array([-1, 0, 3])}
    at = [o.name for o in written.graph.output].index("m")
    (true,) = ReferenceEvaluator(proto).run(["m"], {"x": feeds["x"]})
    np.testing.assert_array_equal(anybodys(written, feeds)[at], true)


@pytest.mark.parametrize("pool", POOLS)
def test_the_forward_model_alone(pool: str) -> None:
    graph = ir.from_proto(model(pool))
    keep_pads(graph)
    kept = ir.to_proto(graph)
    x = negative()
    (true,) = ReferenceEvaluator(model(pool)).run(None, {"x": x})
    np.testing.assert_allclose(anybodys(kept, {"x": x})[0], true, rtol=1e-5, atol=1e-6)


def test_it_is_needed() -> None:
    """Once this fails with every supported ONNX Runtime, the guard can go."""
    x = negative()
    (true,) = ReferenceEvaluator(model("maximum")).run(None, {"x": x})
    assert np.abs(anybodys(model("maximum"), {"x": x})[0] - true).max() > 0.1


def test_a_convolution_keeps_the_fusion() -> None:
    text = "p = Pad(x, q) m = Conv<kernel_shape=[3,3], pads=[0,0,0,0]>(p, w) f = Flatten(m) y = MatMul(f, v)"
    proto = gradcheck.parse(text, "batch,2,5,5", q=[0, 0, 1, 1, 0, 0, 1, 1], w=(3, 2, 3, 3), v=(3 * 25, 4))
    graph = ir.from_proto(proto)
    keep_pads(graph)
    assert ir.to_proto(graph).SerializeToString() == ir.to_proto(ir.from_proto(proto)).SerializeToString()
