"""Largest and smallest elements; ties as in PyTorch."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import pytest
import torch


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_of_several(kind: str, dims: str) -> None:
    gradcheck.check(f"y = {kind}(x, w, v)", (2, 3, 4), dims=dims, w=(4,), v=(3, 1))
    gradcheck.check(f"y = {kind}(w, x)", (2, 3, 4), dims=dims, w=(5, 1, 1, 1))
    gradcheck.check(f"n = Neg(x) s = Mul(x, x) y = {kind}(x, n, s)", (2, 3, 4), dims=dims)
    gradcheck.check(f"y = {kind}(x)", (2, 3, 4), dims=dims)


@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_ties_of_two_are_those_of_torch(kind: str) -> None:
    a, b = [1.0, 2.0, 0.0], [1.0, 1.0, 5.0]
    x = torch.tensor([a], requires_grad=True)
    (torch.maximum if kind == "Max" else torch.minimum)(x, torch.tensor([b])).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate(f"y = {kind}(x, b)", np.array([a]), b=np.array([b], np.float32))
    np.testing.assert_array_equal(found.single, x.grad.numpy())


def test_ties_of_three_are_shared_evenly() -> None:
    found = gradcheck.evaluate("y = Max(x, b, c)", np.array([[1.0]]), b=1.0, c=1.0)
    np.testing.assert_allclose(found.single, [[1 / 3]], rtol=1e-6)


REDUCTIONS: list[tuple[str, dict[str, Any]]] = [
    ("(x)", {}),
    ("<keepdims=0>(x)", {}),
    ("(x, axes)", {"axes": [1]}),
    ("<keepdims=0>(x, axes)", {"axes": [0, -1]}),
    ("<keepdims=0>(x, axes)", {"axes": [1, 2]}),
    ("<noop_with_empty_axes=1>(x)", {}),
    ("(x, axes)", {"axes": np.array([], np.int64)}),
]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize(("form", "constants"), REDUCTIONS)
@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceMin"])
def test_reduction(kind: str, form: str, constants: dict[str, Any], dims: str) -> None:
    gradcheck.check(f"y = {kind}{form}", (2, 3, 4), dims=dims, **constants)


@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceMin"])
def test_ties_of_a_reduction_are_those_of_torch(kind: str) -> None:
    points = np.array([[1.0, 3.0, 3.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    x = torch.tensor(points, requires_grad=True)
    (torch.amax if kind == "ReduceMax" else torch.amin)(x, 1).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate(f"y = {kind}<keepdims=0>(x, axes)", points, axes=[1])
    np.testing.assert_allclose(found.single, x.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dims", ["batch,3,4,5", "a,b,c,d"])
def test_global_max_pool(dims: str) -> None:
    gradcheck.check("y = GlobalMaxPool(x)", (2, 3, 4, 5), dims=dims)


def test_global_max_pool_gives_a_tie_to_the_first_as_torch_does() -> None:
    points = np.array([[[[0.0, 2.0], [2.0, 2.0]]]])
    x = torch.tensor(points, requires_grad=True)
    torch.nn.functional.adaptive_max_pool2d(x, 1).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate("y = GlobalMaxPool(x)", points)
    np.testing.assert_array_equal(found.single, x.grad.numpy())
