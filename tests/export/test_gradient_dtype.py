"""A gradient that leaves the graph in half precision."""

from __future__ import annotations

import models
import numpy as np
import onnx
import pytest
import torch
import torch_modules
from artifacts import with_fields

from fluxpath.errors import ArtifactError, ModelError
from fluxpath.export import attribution_from_gradient, gradient_from_onnx, gradient_from_torch, verify
from fluxpath.runtime import OnnxSession

TYPES = {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}


@pytest.mark.parametrize("precision", TYPES)
@pytest.mark.parametrize("mean", [None, [0.5, 0.25]])
def test_the_output_has_the_type_and_no_cast_of_its_own(tmp_path, precision, mean):
    onnx.save(models.MODELS["relu"](), tmp_path / "m.onnx")
    settings = {"mean": mean, "std": mean, "precision": precision}
    done = gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", gradient_dtype=precision, **settings)
    wide = gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "wide.onnx", **settings)
    assert done.verification.typical < 3 * wide.verification.typical
    assert done.manifest.gradient == precision
    half, wide = (onnx.load(tmp_path / name) for name in ("g.onnx", "wide.onnx"))
    onnx.checker.check_model(half, full_check=True)
    types = {v.name: v.type.tensor_type.elem_type for v in half.graph.output}
    assert types.pop("gradient") == TYPES[precision]
    assert types.pop("label") == onnx.TensorProto.INT64
    assert set(types.values()) == {onnx.TensorProto.FLOAT}
    casts = [sum(n.op_type == "Cast" for n in g.graph.node) for g in (half, wide)]
    assert casts[0] == casts[1] - 1


def test_a_sure_prediction_keeps_its_direction(tmp_path):
    """The whole derivative would be far below the smallest float16."""
    proto = models.MODELS["smooth"]()
    for tensor in proto.graph.initializer:
        if tensor.name in ("w2", "b2"):
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(12 * onnx.numpy_helper.to_array(tensor), tensor.name)
            )
    onnx.save(proto, tmp_path / "m.onnx")
    gradient_from_onnx(
        tmp_path / "m.onnx", tmp_path / "g.onnx", precision="float16", gradient_dtype="float16"
    )
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    images = models.images("smooth", 16)
    feeds = {"image": images, "target": np.full(16, -1)}
    gradient, scale = session.run(["gradient", "scale"], feeds)
    assert gradient.dtype == np.float16
    sure = scale < 1e-8
    assert sure.any() and (np.abs(gradient[sure]).reshape(sure.sum(), -1).max(1) > 0.1).all()


def test_what_does_not_go_together(graph, tmp_path):
    source, out = tmp_path / "m.onnx", tmp_path / "g.onnx"
    onnx.save(models.MODELS["smooth"](), source)
    with pytest.raises(ModelError, match="must be float32 or the precision, which is float32"):
        gradient_from_onnx(source, out, gradient_dtype="float16")
    with pytest.raises(ModelError, match="must be float32 or the precision, which is float16"):
        gradient_from_torch(
            torch_modules.made(torch_modules.tiny),
            torch.zeros(1, 6),
            out,
            precision="float16",
            gradient_dtype="bfloat16",
        )
    with pytest.raises(ModelError, match="is zero: leave it factored"):
        gradient_from_onnx(source, out, precision="float16", gradient_dtype="float16", factored=False)
    with pytest.raises(ModelError, match="a method needs float32"):
        attribution_from_gradient(graph("smooth", precision="float16", gradient_dtype="float16"), out)
    assert not out.exists()


def test_verify_reads_it(graph):
    assert verify(graph("smooth", precision="float16", gradient_dtype="float16")).error < 0.05


def test_a_manifest_that_names_another_type_than_the_graph_has(graph, tmp_path):
    (tmp_path / "g.onnx").write_bytes(with_fields(graph("smooth"), gradient="float16"))
    with pytest.raises(ArtifactError, match=r"no output 'gradient' of type tensor\(float16\)"):
        OnnxSession(tmp_path / "g.onnx")
