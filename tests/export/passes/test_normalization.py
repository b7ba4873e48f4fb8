"""A normalisation that the gradient graph does itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError

MEAN, STD = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.5])


@pytest.mark.parametrize("dims", ["batch,3,4,4", "1,3,4,4", "n,3,h,w"])
def test_mean_and_std(tmp_path: Path, dims: str) -> None:
    """The same scores as the plain graph at normalised images, and its gradients over std."""
    model = small.cnn(dims=dims)
    x = small.images(2)
    plain = small.export(model, tmp_path, input_range=None)
    normalised = ((x - MEAN[:, None, None]) / STD[:, None, None]).astype(np.float32)
    expected = small.run(plain.path, normalised, 3)
    exported = small.export(model, tmp_path, mean=MEAN.tolist(), std=STD.tolist())
    out = small.run(exported.path, x, 3)
    for name in ("y", "score", "scale", "label"):
        np.testing.assert_allclose(out[name], expected[name], rtol=1e-4, atol=1e-5)
    over_std = expected["gradient"] / STD[:, None, None]
    np.testing.assert_allclose(out["gradient"], over_std, rtol=1e-4, atol=1e-5)
    manifest = exported.manifest
    assert (manifest.mean, manifest.std) == (tuple(MEAN), tuple(STD))
    assert (manifest.low, manifest.high) == (0, 1)
    assert exported.verification.error < 1e-4


def test_every_reader_of_the_input_is_normalised(tmp_path: Path) -> None:
    """Two branches, one through a padding, and an output that reads the input too."""
    tail = "wide = Pad(x, pads) d = ReduceMean<keepdims=0>(wide, axes) s = Unsqueeze(d, axis) y = Add(z, s)"
    constants = {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "axes": [1, 2, 3], "axis": [1]}
    model = small.cnn(tail, outputs="y, wide", **constants)
    exported = small.export(model, tmp_path, mean=MEAN, std=STD)
    x = small.images(2)
    normalised = ((x - MEAN[:, None, None]) / STD[:, None, None]).astype(np.float32)
    own, out = small.run(model, normalised), small.run(exported.path, x, 3)
    for name, value in own.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-4, atol=1e-5)


def test_the_normalised_input_is_not_a_new_name(tmp_path: Path) -> None:
    path = small.export(small.cnn(), tmp_path, mean=MEAN, std=STD).path
    assert [v.name for v in onnx.load(path).graph.input] == ["x", "target"]


def test_a_model_that_does_not_read_its_input(tmp_path: Path) -> None:
    model = small.cnn()
    model.graph.node[0].input[0] = "other"
    value = onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, ["batch", 3, 4, 4])
    model.graph.input.append(value)
    with pytest.raises(ModelError, match="output 'y' does not depend on input 'x'"):
        small.export(model, tmp_path, input="x", mean=MEAN, std=STD)


def test_a_model_without_channels_has_no_normalisation(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mean and std have 3 and 3 entries, and input 'x'"):
        small.export(small.cnn(dims="batch,c,4,4"), tmp_path, mean=MEAN, std=STD)
