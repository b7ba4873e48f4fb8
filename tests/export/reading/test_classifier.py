"""The model's ends: which input, which logits, a batch that is made dynamic, and names that clash."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError, VerificationError
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
    plain = small.run(small.export(dense(), tmp_path).path, x, 3)
    exported = small.export(dense(tail), tmp_path)
    out = small.run(exported.path, x, 3)
    for name in ("score", "label", "gradient", "scale"):
        np.testing.assert_array_equal(out[name], plain[name])
    np.testing.assert_allclose(out["y"], small.run(dense(tail), x)["y"], rtol=1e-6)
    assert verify(exported.path).error < 1e-5


@pytest.mark.parametrize(
    ("tail", "shape"),
    [
        ("y = Unsqueeze(z, axes)", r"\['batch', 1, 5\]"),
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


# ---- names


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
@pytest.mark.parametrize("end", ["x", "z"])
def test_ends_may_not_have_our_names(tmp_path: Path, ours: str, end: str) -> None:
    with pytest.raises(ModelError, match=f"an input or output '{ours}', a name that the gradient graph uses"):
        small.export(renamed(dense(), **{end: ours}), tmp_path)


def test_a_gradient_graph_is_no_model(tmp_path: Path) -> None:
    path = small.export(dense(), tmp_path).path
    with pytest.raises(ModelError, match="is what an export wrote: export the model that it was made of"):
        small.export(onnx.load(path), tmp_path / "..")


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


# ---- a batch that was fixed at export

FIXED = {
    "flatten by -1": ("f = Reshape(x, s) y = Gemm(f, v)", {"s": [1, -1]}),
    "flatten by size": ("f = Reshape(x, s) y = Gemm(f, v)", {"s": [1, 48]}),
    "flatten by 0": ("f = Reshape(x, s) y = Gemm(f, v)", {"s": [0, -1]}),
    "batch as -1": ("f = Reshape(x, s) y = Gemm(f, v)", {"s": [-1, 48]}),
    "there and back": (
        "f = Reshape(x, s) g = Reshape(f, t) h = Reshape(g, u) y = Gemm(h, v)",
        {"s": [1, 12, 4], "t": [1, 3, 4, 4], "u": [1, -1]},
    ),
    "allowzero": ("f = Reshape<allowzero=1>(x, s) y = Gemm(f, v)", {"s": [1, 48]}),
    "a bias of shape [8]": (
        "b = Reshape(a, t) k = Mul(x, b) f = Reshape(k, s) y = Gemm(f, v)",
        {"a": (3,), "t": [1, 3, 1, 1], "s": [1, -1]},
    ),
    "a row of weights": (
        "b = Reshape(a, t) f = Reshape(x, s) m = Mul(f, b) y = Gemm(m, v)",
        {"a": (6, 8), "t": [1, -1], "s": [1, -1]},
    ),
    "batch normalisation": (
        "n = BatchNormalization(x, a, a, a, q) f = Flatten(n) y = Gemm(f, v)",
        {"a": (3,), "q": np.ones(3, np.float32)},
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_batch_becomes_dynamic(tmp_path: Path, name: str) -> None:
    """Three images at once give what the model as it came gives for each alone."""
    text, constants = FIXED[name]
    model = gradcheck.parse(text, "1,3,4,4", v=(48, 5), **constants)
    exported = small.export(model, tmp_path)
    assert onnx.load(exported.path).graph.input[0].type.tensor_type.shape.dim[0].dim_param
    x = small.images(3)
    out = small.run(exported.path, x, 2)
    for k in range(3):
        np.testing.assert_allclose(
            out["y"][k : k + 1], small.run(model, x[k : k + 1])["y"], rtol=1e-4, atol=1e-5
        )
        alone = small.run(exported.path, x[k : k + 1], 2)
        np.testing.assert_allclose(out["gradient"][k], alone["gradient"][0], rtol=1e-4, atol=1e-6)


MIXED = {
    "all images in one row": (
        "f = Reshape(x, s) g = Tanh(f) h = Reshape(g, t) y = Gemm(h, v)",
        {"s": [-1], "t": [1, -1], "v": (48, 5)},
    ),
    "a mean over everything": (
        "m = ReduceMean(x) d = Sub(x, m) f = Flatten(d) y = Gemm(f, v)",
        {"v": (48, 5)},
    ),
    "a sum over the batch": (
        "m = ReduceSum(x, axes) d = Mul(x, m) f = Flatten(d) y = Gemm(f, v)",
        {"axes": [0], "v": (48, 5)},
    ),
    "a softmax over the batch": ("f = Flatten(x) g = Gemm(f, v) y = Softmax<axis=0>(g)", {"v": (48, 5)}),
    "channels first": (
        "t = Transpose<perm=[1, 0, 2, 3]>(x) f = Reshape(t, s) m = ReduceMean(f, axes) r = Reshape(m, u) "
        "y = Gemm(r, v)",
        {"s": [3, -1], "axes": [1], "u": [1, 3], "v": (3, 5)},
    ),
    "a token of batch one": (
        "p = Reshape(x, s) k = Expand(token, e) c = Concat<axis=1>(k, p) m = ReduceMean<keepdims=0>(c, axes) "
        "y = Gemm(m, v)",
        {"s": [1, 3, 16], "token": (1, 1, 16), "e": [1, 1, 16], "axes": [1], "v": (16, 5)},
    ),
    "all that is not zero": (
        "f = Flatten(x) g = MatMul(f, v) n = NonZero(g) m = Transpose(n) y = GatherND(g, m)",
        {"v": (48, 5)},
    ),
    "the first image": (
        "g = Gather(x, i) u = Unsqueeze(g, i) f = Flatten(u) y = Gemm(f, v)",
        {"i": [0], "v": (48, 5)},
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_model_that_would_mix_the_images_of_a_batch_is_refused(tmp_path: Path, name: str) -> None:
    """Right for the one image it was exported with, wrong for more: never written."""
    text, constants = MIXED[name]
    with pytest.raises((ModelError, VerificationError)):
        small.export(gradcheck.parse(text, "1,3,4,4", **constants), tmp_path, objective="logit")
    assert not (tmp_path / "model.grad.onnx").exists()
