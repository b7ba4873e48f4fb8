"""A batch that was fixed at export becomes dynamic, or the model is refused."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError, VerificationError

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
