"""Products, log-sums, sums of squares and cumulative forms, also at zeros and where they could overflow."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import pytest
import torch

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("(u)", {}),
    ("<keepdims=0>(u)", {}),
    ("(u, axes)", {"axes": [1]}),
    ("<keepdims=0>(u, axes)", {"axes": [0, -1]}),
    ("<keepdims=0>(u, axes)", {"axes": [1, 2]}),
    ("<noop_with_empty_axes=1>(u)", {}),
]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize(("form", "constants"), FORMS)
@pytest.mark.parametrize("kind", ["ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"])
def test_reduction(kind: str, form: str, constants: dict[str, Any], dims: str) -> None:
    gradcheck.check(f"u = Neg(x) y = {kind}{form}", (2, 3, 4), dims=dims, **constants)


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize(("form", "constants"), FORMS)
def test_log_of_a_sum(form: str, constants: dict[str, Any], dims: str) -> None:
    gradcheck.check(f"u = Exp(x) y = ReduceLogSum{form}", (2, 3, 4), dims=dims, **constants)


def test_log_sum_exp_of_large_numbers() -> None:
    found = gradcheck.evaluate("y = ReduceLogSumExp(x, axes)", np.array([[1e4, 1e4], [-1e4, 0.0]]), axes=[1])
    np.testing.assert_allclose(found.single, [[0.5, 0.5], [0, 1]], rtol=1e-6)


def test_product_with_zeros() -> None:
    points = np.array([[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [-0.0, 5.0, 1.0]])
    x = torch.tensor(points, requires_grad=True)
    x.prod(1).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate("y = ReduceProd<keepdims=0>(x, axes)", points, axes=[1])
    np.testing.assert_allclose(found.single, x.grad.numpy(), rtol=1e-6)


DIRECTIONS = [f"<exclusive={exclusive}, reverse={reverse}>" for exclusive in (0, 1) for reverse in (0, 1)]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_cumulative_sum(direction: str, axis: int, dims: str) -> None:
    gradcheck.check(f"y = CumSum{direction}(x, axis)", (2, 3, 4), dims=dims, axis=np.array(axis))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_cumulative_product(direction: str, axis: int) -> None:
    gradcheck.check(f"y = CumProd{direction}(x, axis)", (2, 3, 4), opset=26, axis=np.array(axis))


ZEROS = np.array([[2.0, 3.0, 4.0, 5.0], [2.0, 0.0, 4.0, 5.0], [0.0, 2.0, 3.0, 0.0], [1.0, 2.0, 0.0, 0.0]])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_cumulative_product_with_zeros(direction: str) -> None:
    seed = np.array([[1.0, -2.0, 0.5, 3.0]] * len(ZEROS))
    x = torch.tensor(ZEROS, requires_grad=True)
    values = x.flip(1) if "reverse=1" in direction else x
    if "exclusive=1" in direction:
        values = torch.cat([torch.ones(len(ZEROS), 1), values[:, :-1]], 1)
    y = values.cumprod(1)
    ((y.flip(1) if "reverse=1" in direction else y) * torch.tensor(seed)).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate(
        f"y = CumProd{direction}(x, axis)", ZEROS, seed, opset=26, axis=np.array(1, np.int64)
    )
    np.testing.assert_allclose(found.single, x.grad.numpy(), rtol=1e-6)
