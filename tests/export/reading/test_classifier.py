"""The model's ends: which input, and which logits."""

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


# ---- logits


@pytest.mark.parametrize(
    "tail",
    [
        "y = Softmax(z)",
        "y = Softmax<axis=1>(z)",
        "y = LogSoftmax<axis=-1>(z)",
        "y = Sigmoid(z)",
        "s = Softmax(z) y = Identity(s)",
        "i = Identity(z) y = Softmax(i)",
        "d = Dropout(z) s = Softmax(d) y = Identity(s)",
    ],
)
def test_closing_probabilities_are_seen_through(tmp_path: Path, tail: str) -> None:
    """The same scores and gradients as of the model that ends with its logits."""
    x = small.images(4, 6)
    objective = "sigmoid" if "Sigmoid" in tail else "softmax"
    plain = small.run(small.export(dense(), tmp_path, objective=objective).path, x, 3)
    exported = small.export(dense(tail), tmp_path, objective=objective)
    out = small.run(exported.path, x, 3)
    for name in ("score", "label", "gradient", "scale"):
        np.testing.assert_array_equal(out[name], plain[name])
    np.testing.assert_allclose(out["y"], small.run(dense(tail), x)["y"], rtol=1e-6)
    assert verify(exported.path).error < 1e-5


@pytest.mark.parametrize(
    ("tail", "shape"),
    [
        ("u = Unsqueeze(z, axes) y = Concat<axis=1>(u, u)", r"\['batch', 2, 5\]"),
        ("y = ReduceSum<keepdims=0>(z)", r"\[\]"),
    ],
)
def test_outputs_that_are_not_one_score_a_class(tmp_path: Path, tail: str, shape: str) -> None:
    with pytest.raises(ModelError, match=f"output 'y' has shape {shape}.*must be"):
        small.export(dense(tail, **({"axes": [1]} if "axes" in tail else {})), tmp_path)


def test_a_batch_that_the_model_fixes_inside(tmp_path: Path) -> None:
    text = "r = Reshape(x, two) z = MatMul(r, v)"
    with pytest.raises(ModelError, match="output 'z' keeps a batch of 2 though the input's is dynamic"):
        small.export(dense(text=text, two=[2, 6]), tmp_path)


HEADS = {
    "a convolution's": "y = Unsqueeze(z, axes)",
    "a convolution's probabilities": "u = Unsqueeze(z, axes) y = Softmax<axis=1>(u)",
    "a sequence of one": "y = Unsqueeze(z, front)",
}


@pytest.mark.parametrize("tail", HEADS.values(), ids=HEADS)
def test_sizes_of_one_beside_the_classes(tmp_path: Path, tail: str) -> None:
    """[batch, classes, 1, 1] and the like: the same scores and gradients as of [batch, classes]."""
    x = small.images(4, 6)
    plain = small.run(small.export(dense(), tmp_path).path, x, 3)
    axes = {"axes": [2, 3]} if "axes" in tail else {"front": [1]}
    out = small.run(small.export(dense(tail, **axes), tmp_path).path, x, 3)
    for name in ("score", "label", "gradient", "scale"):
        np.testing.assert_array_equal(out[name], plain[name])


def test_one_logit_with_further_sizes_of_one(tmp_path: Path) -> None:
    x = small.images(4, 6)
    plain = small.run(small.export(dense(v=(6, 1)), tmp_path).path, x, 1)
    exported = small.export(dense("y = Unsqueeze(z, axes)", v=(6, 1), axes=[1]), tmp_path)
    assert exported.manifest.classes == 2
    out = small.run(exported.path, x, 1)
    np.testing.assert_array_equal(out["gradient"], plain["gradient"])


# ---- several outputs

AMBIGUOUS = "t = Tanh(z) y = MatMul(t, u)"


def test_several_outputs_are_listed_where_more_than_one_may_be_the_scores(tmp_path: Path) -> None:
    model = dense(AMBIGUOUS, u=(5, 4), outputs="z, y")
    listed = r"outputs 'z' float \[batch, 5\], 'y' float \[batch, 4\].*output= .*--logits NAME"
    with pytest.raises(ModelError, match=listed):
        small.export(model, tmp_path)
    assert small.export(model, tmp_path, output="y").manifest.classes == 4


@pytest.mark.parametrize(
    ("tail", "outputs"),
    [
        ("guess = ArgMax<axis=1>(z) y = Softmax(z)", "guess, y"),
        ("p = Softmax(z) y = Identity(p)", "p, z, y"),
        ("h = Unsqueeze(z, axes) w = Concat<axis=1>(h, h) y = Tanh(z)", "w, y"),
        ("t = Tanh(z) logits = MatMul(t, u)", "z, logits"),
    ],
)
def test_the_one_of_several_outputs_that_is_the_scores(tmp_path: Path, tail: str, outputs: str) -> None:
    """Floating point, one score a class; several forms of the same scores are one; or called logits."""
    further = {"axes": [1]} if "axes" in tail else {"u": (5, 4)} if "u)" in tail else {}
    model = dense(tail, outputs=outputs, **further)
    exported = small.export(model, tmp_path)
    expected = 4 if "logits" in outputs else 5
    assert exported.manifest.classes == expected
    x = small.images(3, 6)
    out = small.run(exported.path, x, -1)
    if "Softmax" in tail:
        np.testing.assert_allclose(out["score"], small.run(model, x)["y"].max(1), rtol=1e-5)


# ---- inputs


def test_inputs_of_other_types_and_ranks(tmp_path: Path) -> None:
    model = dense("y = Add(z, z)")
    for kind, message in (
        ("uint8[batch,6]", "UINT8"),
        ("float16[batch,6]", "FLOAT16"),
        ("int64[b,6]", "INT64"),
    ):
        text = onnx.printer.to_text(dense("y = Add(z, z)")).replace("float[batch,6] x", f"{kind} x")
        text = text.replace("MatMul (x, v)", "MatMul (f, v)").replace("z = ", "f = Cast<to=1> (x) z = ")
        with pytest.raises(ModelError, match=f"input 'x' has element type .*{message}.*must be float32"):
            small.export(onnx.parser.parse_model(text), tmp_path)
    text = onnx.printer.to_text(model).replace("float[batch,6] x", "float[6] x")
    with pytest.raises(ModelError, match="input 'x' must have a batch and at least one more dimension"):
        small.export(onnx.parser.parse_model(text), tmp_path)


def test_several_float_inputs_need_a_name(tmp_path: Path) -> None:
    text = "h = Mul(x, gain) z = MatMul(h, v)"
    model = dense(text=text, inputs="float[batch,6] gain")
    with pytest.raises(ModelError, match=r"the inputs \['x', 'gain'\]: name the one to explain with input="):
        small.export(model, tmp_path)
    exported = small.export(model, tmp_path, input="x")
    assert [c.name for c in exported.manifest.companions] == ["gain"]
    x, gain = small.images(2, 6), small.images(2, 6, seed=9)
    out = small.run(exported.path, x, 1, gain=gain)
    scaled = small.run(small.export(dense(), tmp_path).path, x * gain, 1)
    np.testing.assert_allclose(out["gradient"], scaled["gradient"] * gain, rtol=1e-5)


def test_a_mask_is_passed_through(tmp_path: Path) -> None:
    """One float input among others is the one to explain."""
    text = "k = Cast<to=1>(keep) h = Mul(x, k) z = MatMul(h, v)"
    exported = small.export(dense(text=text, inputs="bool[batch,6] keep"), tmp_path)
    keep = np.arange(12).reshape(2, 6) % 2 == 0
    out = small.run(exported.path, small.images(2, 6), 1, keep=keep)
    np.testing.assert_array_equal(out["gradient"] != 0, keep)


def test_a_further_input_of_an_impossible_kind(tmp_path: Path) -> None:
    text = "k = StringConcat(keep, keep) z = MatMul(x, v)"
    with pytest.raises(ModelError, match=r"input 'keep' has element type .* must be one of float32"):
        small.export(dense(text=text, inputs="string[batch] keep", outputs="z, k"), tmp_path)
    with pytest.raises(ModelError, match="input 'table' has a fixed first dimension of 6"):
        small.export(
            dense(text="z = MatMul(x, table)", inputs="float[6,5] table", v=(1,)), tmp_path, input="x"
        )
