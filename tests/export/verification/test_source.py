"""The score of an output of probabilities is that output's own entry, or the export stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError
from fluxpath.export import gradient_from_onnx

TAILS = {
    "reshape": "q = Softmax<axis=1>(z) y = Reshape(q, five)",
    "squeeze": "w4 = Unsqueeze(z, last) q = Softmax<axis=1>(w4) y = Squeeze(q, last)",
    "flatten": "w4 = Unsqueeze(z, last) q = Softmax<axis=1>(w4) y = Flatten(q)",
    "transpose": "w4 = Unsqueeze(z, last) t = Transpose<perm=[0, 2, 3, 1]>(w4) q = Softmax<axis=3>(t) "
    "u = Transpose<perm=[0, 3, 1, 2]>(q) y = Flatten(u)",
    "cast": "q = Softmax(z) h = Cast<to=10>(q) y = Cast<to=1>(h)",
    "clip": "q = Softmax(z) y = Clip(q, low, high)",
    "identity": "q = Softmax(z) i = Identity(q) y = Identity(i)",
}
CONSTANTS = {"five": [-1, 5], "last": [2, 3], "low": np.float32(1e-7), "high": np.float32(1)}
WRITTEN_OUT = "e = Exp(z) s = ReduceSum<keepdims=1>(e, last) y = Div(e, s)"
"""A softmax that no operator of that name makes."""


@pytest.mark.parametrize("tail", TAILS)
def test_the_logits_are_found_behind_what_keeps_every_row(tmp_path: Path, tail: str) -> None:
    model = small.cnn(TAILS[tail], **{k: v for k, v in CONSTANTS.items() if k in TAILS[tail]})
    done = small.export(model, tmp_path)
    x = small.images(4)
    out = small.run(done.path, x, -1)
    own = small.run(model, x)["y"]
    np.testing.assert_allclose(out["score"], own.max(axis=1), rtol=2e-3 if tail == "cast" else 1e-5)


def test_probabilities_from_elsewhere_are_refused_and_the_logits_can_be_named(tmp_path: Path) -> None:
    model = small.cnn(WRITTEN_OUT, last=[1])
    with pytest.raises(ModelError, match=r"output 'y' holds probabilities .* --logits NAME"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    done = gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "g.onnx", output="z")
    x = small.images(4)
    np.testing.assert_allclose(
        small.run(done.path, x, -1)["score"], small.run(model, x)["y"].max(axis=1), rtol=1e-5
    )


def test_a_probability_itself_can_be_explained_as_a_number(tmp_path: Path) -> None:
    model = small.cnn(WRITTEN_OUT, last=[1])
    done = small.export(model, tmp_path, objective="logit")
    x = small.images(4)
    np.testing.assert_allclose(
        small.run(done.path, x, -1)["score"], small.run(model, x)["y"].max(axis=1), rtol=1e-5
    )


def test_a_fixed_batch_and_a_normalisation_are_the_source_models_own(tmp_path: Path) -> None:
    model = small.cnn("y = Softmax(z)", dims="2,3,4,4")
    assert small.export(model, tmp_path, mean=[0.5] * 3, std=[0.25] * 3).verification.error < 1e-3
    onnx.checker.check_model(onnx.load(tmp_path / "model.grad.onnx"))
