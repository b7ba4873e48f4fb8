"""Matrix products against central differences: every transposition, rank and operand."""

from __future__ import annotations

import itertools

import gradcheck
import numpy as np
import pytest

Shape = tuple[int, ...]

SCALES = ["", "alpha=0.5, beta=-2.0, "]


@pytest.mark.parametrize(("ta", "tb", "scales"), list(itertools.product((0, 1), (0, 1), SCALES)))
@pytest.mark.parametrize("slot", ["A", "B", "C", "A and B", "all"])
def test_gemm(slot: str, ta: int, tb: int, scales: str) -> None:
    # A' is [3, 4], B' is [4, 5], C is [3, 5]; x is the operand that is asked for.
    shapes = {"A": (4, 3) if ta else (3, 4), "B": (5, 4) if tb else (4, 5), "C": (3, 5)}
    attributes = f"{scales}transA={ta}, transB={tb}"
    if slot in shapes:
        operands = ", ".join("x" if name == slot else name.lower() for name in shapes)
        constants = {n.lower(): shape for n, shape in shapes.items() if n != slot}
        gradcheck.check(f"y = Gemm<{attributes}>({operands})", shapes[slot], **constants)
        return
    # Square, so that x fits everywhere; the driver adds up what each operand gives.
    third = "x" if slot == "all" else "c"
    constants = {} if slot == "all" else {"c": (4, 4)}
    gradcheck.check(f"y = Gemm<{attributes}>(x, x, {third})", (4, 4), dims="4,4", **constants)


@pytest.mark.parametrize("c", [(5,), (1,), (3, 1), (1, 5), (1, 1), ()], ids=str)
def test_gemm_broadcasts_its_addend(c: Shape) -> None:
    gradcheck.check("y = Gemm<beta=3.0>(a, b, x)", c, dims=gradcheck.fixed(c), a=(3, 4), b=(4, 5))


def test_gemm_without_an_addend() -> None:
    gradcheck.check("y = Gemm<alpha=2.0>(x, w)", (3, 4), w=(4, 5))
    gradcheck.check("y = Gemm<transB=1>(w, x)", (3, 4), w=(2, 4))


def test_gemm_is_scaled_by_alpha_and_beta() -> None:
    a, b = np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32)
    x = np.zeros((1, 1))
    assert gradcheck.evaluate("y = Gemm<alpha=5.0, beta=7.0>(a, b, x)", x, a=a, b=b).single == [[7]]
    found = gradcheck.evaluate("y = Gemm<alpha=5.0, beta=7.0>(x, b)", np.zeros((1, 2)), b=b)
    np.testing.assert_array_equal(found.single, [[15, 20]])


@pytest.mark.parametrize(
    ("x", "w"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (1, 4, 5)),
        ((2, 1, 3, 4), (3, 4, 5)),
        ((1, 3, 4), (2, 4, 5)),
        ((3, 4), (2, 4, 5)),
        ((3, 4), (2, 3, 4, 5)),
        ((4,), (4, 5)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((4,), (2, 3, 4, 5)),
        ((2, 2, 3, 4), (4,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_matmul(x: Shape, w: Shape, side: str) -> None:
    left, right = ("x", "w") if side == "left" else ("w", "x")
    x, w = (x, w) if side == "left" else (w, x)
    gradcheck.check(f"y = MatMul({left}, {right})", x, dims=gradcheck.fixed(x), w=w)


@pytest.mark.parametrize(
    "text",
    [
        "y = MatMul(x, x)",
        "t = Transpose<perm=[0, 2, 1]>(x) y = MatMul(x, t)",
        "t = Transpose<perm=[0, 2, 1]>(x) y = MatMul(t, x)",
        "k = MatMul(x, w) y = MatMul(k, x)",
        "r = ReduceSum(x, axes) y = MatMul(x, r)",  # r is [1, 3, 3]: broadcast over the batch
    ],
)
def test_matmul_of_x_with_itself(text: str) -> None:
    constants = {"w": (3, 3)} if "w" in text else {"axes": [0]} if "axes" in text else {}
    gradcheck.check(text, (2, 3, 3), **constants)


@pytest.mark.parametrize(
    ("dims", "shape", "text", "constants"),
    [
        ("batch,tokens,4", (2, 3, 4), "y = MatMul(x, w)", {"w": (4, 5)}),
        ("batch,heads,tokens,4", (2, 2, 3, 4), "y = MatMul(x, w)", {"w": (4, 5)}),
        ("batch,tokens,4", (2, 3, 4), "t = Transpose<perm=[0, 2, 1]>(x) y = MatMul(x, t)", {}),
        # [n, tokens, 4] by [2, 4, 5]: only the running graph knows whether n is 1.
        ("n,tokens,4", (1, 3, 4), "y = MatMul(x, w)", {"w": (2, 4, 5)}),
        ("n,tokens,4", (2, 3, 4), "y = MatMul(x, w)", {"w": (2, 4, 5)}),
    ],
)
def test_matmul_with_dynamic_sizes(dims: str, shape: Shape, text: str, constants: dict) -> None:
    gradcheck.check(text, shape, dims=dims, **constants)
