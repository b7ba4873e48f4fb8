"""Outputs that are no arrays of numbers, or are called as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError

helper = onnx.helper
STRINGS = ["cat", "dog", "owl"]


def with_map(**labels: Any) -> onnx.ModelProto:
    """Probabilities as a list of dictionaries, beside the label, as skl2onnx gives them."""
    model = gradcheck.parse(
        "z = MatMul(x, v) y = Softmax(z) best = ArgMax<axis=1, keepdims=0>(z)", "batch,6", v=(6, 3)
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    graph = model.graph
    graph.node.append(helper.make_node("ZipMap", ["y"], ["p"], domain="ai.onnx.ml", **labels))
    strings = "classlabels_strings" in labels
    kind = onnx.TensorProto.STRING if strings else onnx.TensorProto.INT64
    names = onnx.numpy_helper.from_array(
        np.array(STRINGS if strings else labels["classlabels_int64s"]), "names"
    )
    graph.initializer.append(names)
    graph.node.append(
        helper.make_node("ArrayFeatureExtractor", ["names", "best"], ["label"], domain="ai.onnx.ml")
    )
    pairs = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, []))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("label", kind, ["n"]))
    graph.output.append(helper.make_value_info("p", helper.make_sequence_type_proto(pairs)))
    return model


@pytest.mark.parametrize(
    ("labels", "outputs", "names"),
    [
        ({"classlabels_int64s": [0, 1, 2]}, ["model/label", "p"], None),
        ({"classlabels_int64s": [3, 5, 7]}, ["model/label", "p"], ("3", "5", "7")),
        ({"classlabels_strings": STRINGS}, ["p"], tuple(STRINGS)),
    ],
)
def test_a_list_of_dictionaries_becomes_an_array(
    labels: dict[str, Any], outputs: list[str], names: tuple[str, ...] | None, tmp_path: Path
) -> None:
    done = small.export(with_map(**labels), tmp_path)
    assert done.manifest.class_names == names
    assert list(done.manifest.outputs[:-4]) == outputs
    out = small.run(done.path, small.images(4, 6), -1)
    assert out["p"].shape == (4, 3)
    np.testing.assert_allclose(out["p"].max(1), out["score"], rtol=1e-5)
    if names is None:
        assert (out["model/label"].reshape(-1) == out["label"]).all()


def test_given_class_names_come_first(tmp_path: Path) -> None:
    done = small.export(with_map(classlabels_strings=STRINGS), tmp_path, class_names=["a", "b", "c"])
    assert done.manifest.class_names == ("a", "b", "c")


@pytest.mark.parametrize("ours", ["score", "gradient", "scale", "label", "target"])
def test_an_output_called_as_one_of_ours_is_renamed(ours: str, tmp_path: Path) -> None:
    """Whether it is named or found."""
    model = gradcheck.parse(f"{ours} = MatMul(x, v)", "batch,6", outputs=ours, v=(6, 3))
    x = small.images(3, 6)
    for chosen in (None, ours):
        done = small.export(model, tmp_path, output=chosen)
        assert done.manifest.outputs[0] == done.manifest.logits == f"model/{ours}"
        out = small.run(done.path, x, -1)
        assert (out["label"] == out[f"model/{ours}"].argmax(1)).all()


def test_another_list_is_refused(tmp_path: Path) -> None:
    model = gradcheck.parse("y = MatMul(x, v)", "batch,6", v=(6, 3))
    model.graph.node.append(helper.make_node("SequenceConstruct", ["y"], ["p"]))
    value = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
    model.graph.output[0].CopyFrom(helper.make_value_info("p", helper.make_sequence_type_proto(value)))
    with pytest.raises(ModelError, match="output 'p' is a sequence, and outputs must be arrays"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
