"""Functions of one element, powers, remainders and choice; PyTorch's conventions where they have corners."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import pytest
import torch

EVERYWHERE = ["Abs", "Exp", "Erf", "Softsign", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh"]
BETWEEN_0_AND_1 = ["Acos", "Asin", "Atanh", "Tan", "Log", "Sqrt", "Reciprocal"]


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_function_of_any_number(kind: str, dims: str) -> None:
    gradcheck.check(f"y = {kind}(x)", (2, 3, 4), dims=dims)


@pytest.mark.parametrize("kind", BETWEEN_0_AND_1)
def test_function_of_a_positive_number(kind: str) -> None:
    gradcheck.check(f"s = Sigmoid(x) y = {kind}(s)", (2, 3, 4))


def test_acosh_needs_more_than_one() -> None:
    gradcheck.check("e = Exp(x) s = Add(e, one) y = Acosh(s)", (2, 3, 4), one=1.0)


EXTREMES = [
    ("Abs", [-2.0, -0.0, 0.0, 3.0]),
    ("Sqrt", [0.0, 1e-30, 4.0]),
    ("Log", [1e-30, 1.0, 1e30]),
    ("Reciprocal", [-1e-10, 1e15]),
    ("Erf", [-1e20, -6.0, 0.0, 30.0]),
    ("Asinh", [-1e15, 0.0, 1e15]),
    ("Atan", [-1e15, 0.0, 1e15]),
    ("Asin", [-1 + 1e-6, 1 - 6e-8, 1.0]),
    ("Acos", [-1 + 1e-6, 1 - 6e-8, 1.0]),
    ("Acosh", [1 + 2e-7, 1e15]),
    ("Atanh", [-1 + 1e-6, 1 - 6e-8]),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("kind", "points"), EXTREMES)
def test_extremes_are_those_of_torch(kind: str, points: list[float]) -> None:
    x = torch.tensor([points], dtype=torch.float32).double().requires_grad_()
    getattr(torch, kind.lower())(x).sum().backward()
    assert x.grad is not None
    found = gradcheck.evaluate(f"y = {kind}(x)", np.array([points]))
    np.testing.assert_allclose(found.single, x.grad.numpy(), rtol=1e-5, atol=1e-30)


def test_softsign_of_large_numbers() -> None:
    found = gradcheck.evaluate("y = Softsign(x)", np.array([[-1e4, 1e4, 1e15]]))
    np.testing.assert_allclose(found.single, [[1 / 10001**2, 1 / 10001**2, 1e-30]], rtol=1e-6)


EXPONENTS: list[Any] = [
    *(2.0, 3.0, 1.0, -1.0, 4.0, -2.0),
    np.array(3, np.int64),
    np.array([[3.0]], np.float32),
    np.array([0, 1, 2, 3], np.float32),
    np.array([0, 1, 2, 3], np.int32),
    np.array([[2], [3], [-1]], np.float32),
]


@pytest.mark.parametrize("exponent", EXPONENTS, ids=str)
@pytest.mark.parametrize("dims", ["batch,4", "a,b"])
def test_power_of_any_number(exponent: Any, dims: str) -> None:
    gradcheck.check("y = Pow(x, p)", (3, 4), dims=dims, p=exponent)


@pytest.mark.parametrize("exponent", [0.5, 1.5, -0.75, np.array([0.5, 1.5, 2.5, 0], np.float32)], ids=str)
def test_power_of_a_positive_number(exponent: Any) -> None:
    gradcheck.check("e = Exp(x) y = Pow(e, p)", (3, 4), p=exponent)


def test_power_along_the_exponent() -> None:
    gradcheck.check("y = Pow(b, x)", (3, 4), b=2.5)
    gradcheck.check("y = Pow(b, x)", (3, 4), b=np.array([[[0.5]], [[3.0]]], np.float32))
    gradcheck.check("e = Exp(x) y = Pow(e, x)", (3, 4))


POWERS_AT_CORNERS = [
    # What PyTorch 2.13 gives.
    (2.0, [-1, 0, 3], [-2, 0, 6]),
    (3.0, [-1, 0, 2], [3, 0, 12]),
    (1.0, [-1, 0, 2], [1, 1, 1]),
    (0.0, [-1, 0, 2], [0, 0, 0]),
    (1.5, [0, 4], [0, 3]),
    (0.5, [0, 4], [np.inf, 0.25]),
    ([0.0, 1.0, 2.0, 2.0], [0, 0, 0, -1], [0, 1, 0, -2]),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("exponent", "x", "expected"), POWERS_AT_CORNERS)
def test_power_at_zero(exponent: Any, x: list[float], expected: list[float]) -> None:
    p = np.asarray(exponent, np.float32)
    found = gradcheck.evaluate("y = Pow(x, p)", np.array([x]), p=p)
    np.testing.assert_allclose(found.single, [expected], rtol=1e-6)


def test_exponent_of_a_base_that_is_not_positive_has_no_gradient() -> None:
    """PyTorch has NaN for the negative one."""
    base = np.array([[-2.0, 0.0, 2.0]], np.float32)
    found = gradcheck.evaluate("y = Pow(b, x)", np.array([[2.0, 2.0, 2.0]]), b=base)
    np.testing.assert_allclose(found.single, [[0, 0, 4 * np.log(2)]], rtol=1e-6)


def test_remainder() -> None:
    gradcheck.check("y = Mod<fmod=1>(x, b)", (3, 4), b=0.75)
    gradcheck.check("b = Exp(x) t = Mul(x, three) y = Mod<fmod=1>(t, b)", (3, 4), three=3.0)
    found = gradcheck.evaluate("y = Mod<fmod=1>(a, x)", np.array([[3.0, 3.0]]), a=np.float32([[5.0, -5.0]]))
    np.testing.assert_array_equal(found.single, [[-1, 1]])


@pytest.mark.parametrize("dims", ["batch,3,4", "a,b,c"])
def test_mean_of_several(dims: str) -> None:
    gradcheck.check("y = Mean(x, w, x)", (2, 3, 4), dims=dims, w=(5, 1, 3, 1))
    text = "s = ReduceSum<keepdims=1>(x, axes) y = Mean(w, s)"
    gradcheck.check(text, (2, 3, 4), dims=dims, axes=[1], w=(3, 4))
    gradcheck.check("y = Mean(x)", (2, 3, 4), dims=dims)


@pytest.mark.parametrize("dims", ["batch,3", "a,b"])
def test_choice_gives_each_branch_its_part(dims: str) -> None:
    c = np.array([[True], [False]])
    gradcheck.check("y = Where(c, x, w)", (2, 3), dims=dims, c=c, w=(4, 1, 1))
    gradcheck.check("y = Where(c, w, x)", (2, 3), dims=dims, c=c, w=(3,))
    gradcheck.check("s = Mul(x, x) y = Where(c, x, s)", (1, 3), dims=dims, c=c)
    gradcheck.check("n = Neg(x) c = Less(x, n) y = Where(c, n, x)", (2, 3), dims=dims)
