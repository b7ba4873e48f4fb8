"""Normalisations against central differences, in half precision and of constant inputs."""

from __future__ import annotations

import gradcheck
import numpy as np
import onnx
import onnx.parser
import pytest

SHAPE = (2, 3, 4, 5)
STATIC, DYNAMIC = "batch,3,4,5", "a,b,c,d"


@pytest.mark.parametrize("dims", [STATIC, DYNAMIC])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2])
def test_layer_normalization(axis: int, dims: str) -> None:
    tail = SHAPE[axis:]
    text = f"y = LayerNormalization<axis={axis}, epsilon=0.01>(x, w, b)"
    gradcheck.check(text, SHAPE, dims=dims, w=tail, b=tail)
    gradcheck.check(f"y = LayerNormalization<axis={axis}>(x, w)", SHAPE, dims=dims, w=tail)


def test_layer_normalization_with_a_scale_that_broadcasts() -> None:
    gradcheck.check("y = LayerNormalization<axis=1>(x, w)", SHAPE, w=(4, 1))


@pytest.mark.parametrize("dims", [STATIC, DYNAMIC])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2])
def test_rms_normalization(axis: int, dims: str) -> None:
    text = f"y = RMSNormalization<axis={axis}, epsilon=0.01>(x, w)"
    gradcheck.check(text, SHAPE, dims=dims, opset=23, w=SHAPE[axis:])


@pytest.mark.parametrize("dims", [STATIC, DYNAMIC])
def test_instance_normalization(dims: str) -> None:
    gradcheck.check("y = InstanceNormalization<epsilon=0.01>(x, w, b)", SHAPE, dims=dims, w=(3,), b=(3,))


def test_instance_normalization_of_a_sequence() -> None:
    gradcheck.check("y = InstanceNormalization(x, w, b)", (2, 3, 8), w=(3,), b=(3,))


@pytest.mark.parametrize("dims", ["batch,4,3,5", DYNAMIC])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_normalization(groups: int, dims: str) -> None:
    # y is declared because the standard's shape inference has nothing for this operator.
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> graph (float[{dims}] x) => (float[{dims}] y) '
        f"{{ n = GroupNormalization<num_groups={groups}, epsilon=0.01>(x, w, b) y = Tanh(n) }}"
    )
    rng = np.random.default_rng(0)
    for name in ("w", "b"):
        vector = rng.standard_normal(4).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(vector, name))
    gradcheck.check_model(model, (2, 4, 3, 5))


@pytest.mark.parametrize("dims", [STATIC, DYNAMIC])
@pytest.mark.parametrize("axes", ["[0, 2, 3]", "[1, 2]", "[3]"])
def test_mean_variance_normalization(axes: str, dims: str) -> None:
    gradcheck.check(f"y = MeanVarianceNormalization<axes={axes}>(x)", SHAPE, dims=dims)


@pytest.mark.parametrize("dims", ["batch,5,3,2", DYNAMIC])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_local_response_normalization(size: int, dims: str) -> None:
    gradcheck.check(f"y = LRN<size={size}, alpha=0.5, beta=0.625, bias=1.5>(x)", (2, 5, 3, 2), dims=dims)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_local_response_normalization_over_an_even_number(size: int) -> None:
    """ONNX Runtime refuses that; the window then reaches further up than down."""
    forward = gradcheck.parse(f"y = LRN<size={size}, alpha=0.5>(x)", "batch,5,1,2")
    x, seed, v = np.random.default_rng(7).standard_normal((3, 2, 5, 1, 2))
    gradient = gradcheck.in_double(gradcheck.differentiated(forward))({"x": x, "seed": seed})[1]
    run = gradcheck.in_double(forward)
    ahead, behind = (run({"x": x + sign * gradcheck.STEP * v})[0] for sign in (1.0, -1.0))
    true = ((ahead - behind) * seed).sum() / (2 * gradcheck.STEP)
    np.testing.assert_allclose((gradient * v).sum(), true, rtol=1e-7)


def test_local_response_normalization_with_its_defaults() -> None:
    gradcheck.check("y = LRN<size=3>(x)", (2, 5, 3, 2))


HALF = [
    ("LayerNormalization", "(h, w, b)", 20, 4),
    ("LayerNormalization<axis=1>", "(h, w, b)", 20, 4),
    ("InstanceNormalization", "(h, w, b)", 20, 3),
    ("RMSNormalization", "(h, w)", 23, 4),
    ("LRN<size=3>", "(h)", 20, 0),
]


@pytest.mark.parametrize(("kind", "inputs", "opset", "scales"), HALF)
def test_half_precision_does_not_overflow(kind: str, inputs: str, opset: int, scales: int) -> None:
    """Squares of 1000 are beyond float16."""
    x = np.random.default_rng(5).integers(-1000, 1000, (2, 3, 1, 4)).astype(np.float32)
    seed = np.random.default_rng(6).standard_normal(x.shape).astype(np.float32)
    vector = np.linspace(0.5, 1.5, scales).astype(np.float16)
    operands = {name: vector for name in ("w", "b") if name in inputs}
    half = f"h = Cast<to=10>(x) n = {kind}{inputs} y = Cast<to=1>(n)"
    found = gradcheck.evaluate(half, x, seed, opset=opset, **operands)
    error = np.abs(found.single - found.double).max() / np.abs(found.double).max()
    assert error < 5e-3


@pytest.mark.parametrize("text", ["LayerNormalization(x, w)", "InstanceNormalization(x, w, w)"])
def test_a_constant_input_has_a_finite_gradient(text: str) -> None:
    seed = np.arange(9.0).reshape(1, 3, 3)
    found = gradcheck.evaluate(f"y = {text}", np.full((1, 3, 3), 7.0), seed, w=(3,))
    assert np.isfinite(found.single).all()
