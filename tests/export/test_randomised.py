"""Models whose weights are drawn anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small
from onnx import numpy_helper

from fluxpath.errors import InputError, ModelError
from fluxpath.export import randomised
from fluxpath.export.randomised import layers, redraw
from fluxpath.runtime import Explainer

DEEP = "c = Conv(x, w, b) r = Relu(c) d = Conv(r, v) f = Flatten(d) p = MatMul(f, u) y = Add(p, k)"
WEIGHTS = {"w": (4, 3, 3, 3), "b": (4,), "v": (2, 4, 1, 1), "u": (8, 5), "k": (5,)}


def saved(folder: Path, text: str = DEEP, dims: str = "batch,3,4,4", **weights) -> Path:
    path = folder / "model.onnx"
    onnx.save(small.gradcheck.parse(text, dims, **(weights or WEIGHTS)), path)
    return path


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def logits(path: Path) -> np.ndarray:
    with Explainer(path, threads=1) as explainer:
        return explainer.predict(small.images(2)).logits


def drawn(source: Path, names: list[str], seed: int = 0) -> np.ndarray:
    """What the source gives with these tensors redrawn, by the source model alone."""
    model = onnx.load(source)
    redraw(model, names, seed)
    return small.run(model, small.images(2))["y"]


@pytest.mark.parametrize(
    ("order", "sets"),
    [
        ("top-down", [["u"], ["u", "v"], ["u", "v", "w", "b"]]),
        ("bottom-up", [["w", "b"], ["w", "b", "v"], ["w", "b", "v", "u"]]),
        ("independent", [["w", "b"], ["v"], ["u"]]),
    ],
)
def test_layer_by_layer(tmp_path, order, sets):
    source = saved(tmp_path)
    made = list(randomised(source, tmp_path / "out", order=order, seed=7))
    assert len({name for name, _ in made}) == 3
    for (_, path), names in zip(made, sets, strict=True):
        assert np.allclose(logits(path), drawn(source, names, 7), rtol=1e-4, atol=1e-5)
    assert sorted(path for _, path in made) == sorted((tmp_path / "out").iterdir())


def test_weights_keep_their_scale_and_depend_on_seed_and_name():
    model = small.gradcheck.parse("y = MatMul(x, w)", "batch,300", w=(300, 100))
    before = weights_of(model)["w"]
    changed = {}
    for seed in (0, 0, 1):
        redraw(model, ["w"], seed)
        changed.setdefault(seed, []).append(weights_of(model)["w"])
    assert abs(np.corrcoef(before.reshape(-1), changed[0][0].reshape(-1))[0, 1]) < 0.03
    assert np.std(changed[0][0]) == pytest.approx(np.std(before), rel=0.02)
    assert np.allclose(changed[0][0], changed[0][1], atol=0.05)  # of its own mean and deviation again
    assert abs(np.corrcoef(changed[0][1].reshape(-1), changed[1][0].reshape(-1))[0, 1]) < 0.03


def test_what_is_a_layer():
    text = (
        "t = Transpose<perm = [1, 0]>(w) a = MatMul(x, t) s = Mul(a, g) i = Identity(v) b = MatMul(s, i) "
        "y = MatMul(b, q)"
    )
    model = small.gradcheck.parse(text, "batch,4", w=(5, 4), g=(5,), v=(5, 3), q=(3, 3))
    assert [layer.tensors for layer in layers(model)] == [("w",), ("v",), ("q",)]


def test_shared_weights_change_once():
    model = small.gradcheck.parse("a = MatMul(x, w) t = Tanh(a) y = MatMul(t, w)", "batch,4", w=(4, 4))
    assert [layer.tensors for layer in layers(model)] == [("w",), ("w",)]


def test_fewer_files_at_even_distances(tmp_path):
    source = saved(tmp_path)
    made = list(randomised(source, tmp_path / "out", most=1))
    assert len(made) == 1
    assert np.allclose(logits(made[0][1]), drawn(source, ["u", "v", "w", "b"]), rtol=1e-4, atol=1e-5)
    assert len(list(randomised(source, tmp_path / "out2", most=2))) == 2


def test_settings_go_to_the_export(tmp_path):
    source = saved(tmp_path)
    ((_, path),) = randomised(source, tmp_path / "out", most=1, objective="logit", input_range=(-1.0, 2.0))
    with Explainer(path, threads=1) as explainer:
        assert (explainer.manifest.objective, explainer.manifest.low) == ("logit", -1.0)


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(ModelError, match="there is no model file"):
        randomised(tmp_path / "none.onnx", tmp_path / "out")
    (tmp_path / "broken.onnx").write_bytes(b"\x00\x01nothing")
    with pytest.raises(ModelError, match="is not a valid ONNX model"):
        randomised(tmp_path / "broken.onnx", tmp_path / "out")
    source = saved(tmp_path)
    for settings in ({"order": "down"}, {"most": 0}, {"seed": -1}):
        with pytest.raises(InputError, match=f"{next(iter(settings))} is"):
            randomised(source, tmp_path / "out", **settings)
    bare = saved(tmp_path, "y = Mul(x, s)", "batch,3", s=(3,))
    with pytest.raises(ModelError, match="has no stored weights of convolutions or matrix products"):
        list(randomised(bare, tmp_path / "out"))
