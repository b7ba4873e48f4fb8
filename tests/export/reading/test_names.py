"""Names that the model shares with what a gradient graph adds."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError
from fluxpath.export import verify

SURE = "z = MatMul(x, v)"  # [batch, 6] to five logits


def dense(tail: str = "", dims: str = "batch,6", text: str = SURE, **options: object) -> onnx.ModelProto:
    options = {"v": (6, 5), **options}
    return gradcheck.parse(f"{text} {tail}", dims, **{"outputs": "y" if tail else "z", **options})


def renamed(model: onnx.ModelProto, **names: str) -> onnx.ModelProto:
    graph = model.graph
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        entry.name = names.get(entry.name, entry.name)
    for node in graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
        node.output[:] = [names.get(n, n) for n in node.output]
    return model


@pytest.mark.parametrize("ours", ["score", "gradient", "scale", "label", "target"])
@pytest.mark.parametrize("inner", ["v", "h", "z"])
def test_inner_values_may_have_our_names(tmp_path: Path, ours: str, inner: str) -> None:
    """A weight, an activation, and the logits themselves."""
    text = "h = Tanh(x) z = MatMul(h, v)"
    x = small.images(3, 6)
    plain = small.run(small.export(dense("y = Softmax(z)", text=text), tmp_path).path, x, 1)
    exported = small.export(renamed(dense("y = Softmax(z)", text=text), **{inner: ours}), tmp_path)
    out = small.run(exported.path, x, 1)
    for name, value in plain.items():
        np.testing.assert_array_equal(out[name], value)
    assert verify(exported.path).error < 1e-5


@pytest.mark.parametrize("ours", ["score", "gradient", "scale", "label", "target"])
def test_inputs_may_not_have_our_names(tmp_path: Path, ours: str) -> None:
    with pytest.raises(ModelError, match=f"an input '{ours}', a name that the gradient graph uses"):
        small.export(renamed(dense(), x=ours), tmp_path)


def test_a_gradient_graph_is_no_model(tmp_path: Path) -> None:
    path = small.export(dense(), tmp_path).path
    with pytest.raises(ModelError, match="is what an export wrote: export the model that it was made of"):
        small.export(onnx.load(path), tmp_path / "..")
