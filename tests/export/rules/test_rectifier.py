"""Rectifiers against central differences, and PyTorch itself at kinks and far from zero."""

from __future__ import annotations

from collections.abc import Callable

import gradcheck
import numpy as np
import pytest
import torch
from torch.nn import functional

TEXTS = [
    "y = Elu(x)",
    "y = Elu<alpha=0.25>(x)",
    "y = Celu(x)",
    "y = Celu<alpha=0.25>(x)",
    "y = Selu(x)",
    "y = Selu<alpha=1.5, gamma=0.5>(x)",
    "y = ThresholdedRelu<alpha=0.25>(x)",
    "y = Shrink<lambd=0.25, bias=0.125>(x)",
    "y = Shrink(x)",
    "y = Softplus(x)",
    "y = Mish(x)",
    "y = Gelu(x)",
    'y = Gelu<approximate="tanh">(x)',
]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize("text", TEXTS)
def test_rectifier(text: str, dims: str) -> None:
    gradcheck.check(text, (4, 3, 4), dims=dims)


@pytest.mark.parametrize("text", ["y = Swish(x)", "y = Swish<alpha=1.75>(x)"])
def test_swish(text: str) -> None:
    gradcheck.check(text, (4, 3, 4), opset=24)


@pytest.mark.parametrize("dims", ["batch,3,4,2", "a,b,c,d"])
@pytest.mark.parametrize("slope", [(3, 1, 1), (1,), (2,), (3, 4, 2), (1, 3, 1, 1)], ids=str)
def test_prelu(slope: tuple[int, ...], dims: str) -> None:
    gradcheck.check("y = PRelu(x, w)", (2, 3, 4, 2), dims=dims, w=slope)


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
def test_prelu_along_its_slope(dims: str) -> None:
    gradcheck.check("s = ReduceMean<keepdims=1>(x, axes) y = PRelu(x, s)", (2, 3, 4), dims=dims, axes=[0, 2])
    gradcheck.check("y = PRelu(w, x)", (3, 1), w=(2, 3, 4))
    gradcheck.check("y = PRelu(w, x)", (3, 1), dims="a,b", w=(2, 3, 4))


POINTS = [-40.0, -20.0, -1.0, -0.5, -1e-20, 0.0, 1e-20, 0.5, 1.0, 20.0, 40.0]

Twin = Callable[[torch.Tensor], torch.Tensor]
TWINS: list[tuple[str, Twin]] = [
    ("y = Elu<alpha=2.0>(x)", lambda x: functional.elu(x, 2.0)),
    ("y = Celu<alpha=2.0>(x)", lambda x: functional.celu(x, 2.0)),
    ("y = Selu(x)", torch.selu),
    ("y = ThresholdedRelu<alpha=0.5>(x)", lambda x: functional.threshold(x, 0.5, 0.0)),
    ("y = Shrink<lambd=0.5, bias=0.5>(x)", lambda x: functional.softshrink(x, 0.5)),
    ("y = Shrink<lambd=0.5>(x)", lambda x: functional.hardshrink(x, 0.5)),
    ("y = PRelu(x, slope)", lambda x: functional.prelu(x, torch.tensor([0.25], dtype=x.dtype))),
    ("y = Softplus(x)", functional.softplus),
    ("y = Mish(x)", functional.mish),
    ("y = Gelu(x)", functional.gelu),
    ('y = Gelu<approximate="tanh">(x)', lambda x: functional.gelu(x, approximate="tanh")),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("text", "twin"), TWINS, ids=[text for text, _ in TWINS])
def test_kinks_and_far_ends_are_those_of_torch(text: str, twin: Twin) -> None:
    x = torch.tensor([POINTS], dtype=torch.float64, requires_grad=True)
    twin(x).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate(text, np.array([POINTS]), **({"slope": 0.25} if "slope" in text else {}))
    np.testing.assert_allclose(found.double, x.grad.numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.single, x.grad.numpy(), rtol=1e-6, atol=2e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("text", "opset"),
    [*((text, 20) for text in TEXTS), ("y = Swish(x)", 24), ("y = Swish<alpha=3.0>(x)", 24)],
)
def test_no_overflow(text: str, opset: int) -> None:
    found = gradcheck.evaluate(text, np.array([[-1e15, -1e4, 1e4, 1e15]]), np.ones((1, 4)), opset=opset)
    assert np.isfinite(found.single).all(), found.single


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("text", [text for text in TEXTS if "Celu" not in text])  # float32 only
def test_no_overflow_in_half_precision(text: str) -> None:
    half = f"h = Cast<to=10>(x) {text.replace('(x)', '(h)').replace('y =', 'u =')} y = Cast<to=1>(u)"
    found = gradcheck.evaluate(half, np.array([[-6e4, -300.0, 300.0, 6e4]]), np.ones((1, 4)))
    assert np.isfinite(found.single).all(), found.single
