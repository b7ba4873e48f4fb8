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


# ---- sizes


def deep(dims: str) -> onnx.ModelProto:
    """Takes pictures of 40 by 40 at least."""
    text = "c = Conv(x, w) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm(f, v)"
    return gradcheck.parse(text, dims, w=(4, 3, 40, 40), v=(4, 5))


def test_open_sizes_are_verified_at_one_that_the_model_takes(tmp_path: Path) -> None:
    exported = small.export(deep("batch,3,h,w0"), tmp_path)
    assert exported.manifest.shape == (3, None, None)
    for size in (40, 57):
        assert np.isfinite(small.run(exported.path, small.images(1, 3, size, size), 0)["gradient"]).all()


def test_open_sizes_that_no_usual_one_fits(tmp_path: Path) -> None:
    text = "f = Flatten(x) y = Gemm(f, v)"
    model = gradcheck.parse(text, "batch,3,h,w0", v=(3 * 5 * 7, 5))
    with pytest.raises(ModelError, match=r"'x' has the open sizes \[3, \?, \?\].*shape= .*--shape"):
        small.export(model, tmp_path)
    exported = small.export(model, tmp_path, shape=(3, 5, 7))
    assert exported.manifest.shape == (3, 5, 7)


def test_a_shape_that_does_not_fit(tmp_path: Path) -> None:
    for shape in ((4, 40, 40), (3, 40), (3, 40, 40, 40)):
        with pytest.raises(ModelError, match=r"shape is .*input 'x' has the sizes \[3, \?, \?\]"):
            small.export(deep("batch,3,h,w0"), tmp_path, shape=shape)
    with pytest.raises(ModelError, match="sizes must be 1 or more"):
        small.export(deep("batch,3,h,w0"), tmp_path, shape=(3, 0, 40))


@pytest.mark.parametrize("ends", [("input",), ("output",), ("input", "output")])
def test_sizes_of_minus_one_are_open(tmp_path: Path, ends: tuple[str, ...]) -> None:
    model = small.cnn(dims="batch,3,h,w0" if "input" in ends else "batch,3,4,4")
    for end in ends:
        for size in getattr(model.graph, end)[0].type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = -1
    exported = small.export(model, tmp_path)
    assert exported.verification.error < 1e-4
    assert (None in exported.manifest.shape) == ("input" in ends)


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
    "a token of batch one": (
        "p = Reshape(x, s) k = Expand(token, e) c = Concat<axis=1>(k, p) m = ReduceMean<keepdims=0>(c, axes) "
        "w = Slice(v, from, to) y = Gemm(m, w)",
        {"s": [1, 3, 16], "token": (1, 1, 16), "e": [1, 1, 16], "axes": [1], "from": [0], "to": [16]},
    ),
    "two tokens of batch one": (
        "p = Reshape(x, s) t = Tanh(p) c = Concat<axis=-2>(token, t, last) "
        "m = ReduceMax<keepdims=0>(c, axes) w = Slice(v, from, to) y = Gemm(m, w)",
        {"s": [1, 3, 16], "token": (1, 1, 16), "last": (1, 2, 16), "axes": [1], "from": [0], "to": [16]},
    ),
    "an expanded row": ("f = Reshape(x, s) r = Expand(f, e) y = Gemm(r, v)", {"s": [1, 48], "e": [1, 48]}),
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


def test_a_token_that_was_folded_for_a_batch_of_four(tmp_path: Path) -> None:
    """Repeated for each image it is a constant of four equal rows, as is a bias beside it."""
    token, bias = (np.repeat(small.images(1, *shape), 4, 0) for shape in ((1, 16), (4, 16)))
    model = gradcheck.parse(
        "p = Reshape(x, s) c = Concat<axis=1>(token, p) b = Add(bias, c) m = ReduceMax<keepdims=0>(b, axes) "
        "y = Gemm(m, v)",
        "4,3,4,4",
        v=(16, 5),
        token=token,
        bias=bias,
        axes=[1],
        s=[4, 3, 16],
    )
    exported = small.export(model, tmp_path)
    x = small.images(4)
    out = small.run(exported.path, x, 2)
    np.testing.assert_allclose(out["y"], small.run(model, x)["y"], rtol=1e-4, atol=1e-5)
    alone = small.run(exported.path, x[1:2], 2)
    np.testing.assert_allclose(out["gradient"][1:2], alone["gradient"], rtol=1e-4, atol=1e-6)


def test_rows_that_differ_are_not_one_token(tmp_path: Path) -> None:
    model = gradcheck.parse(
        "p = Reshape(x, s) c = Concat<axis=1>(token, p) m = ReduceMax<keepdims=0>(c, axes) y = Gemm(m, v)",
        "4,3,4,4",
        v=(16, 5),
        token=(4, 1, 16),
        axes=[1],
        s=[4, 3, 16],
    )
    with pytest.raises((ModelError, VerificationError)):
        small.export(model, tmp_path)


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
