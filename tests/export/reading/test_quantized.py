"""Quantised models are refused: no gradient may quietly leave out the part that went through integers."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Add(d, x)", {}),
    ("q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)", {}),
    ("q = QuantizeLinear(x, s, z) t = Transpose(q) d = DequantizeLinear(t, s, z) y = MatMul(x, d)", {}),
    (
        "q, a, b = DynamicQuantizeLinear(x) i = MatMulInteger(q, w, b) f = Cast<to=1>(i) d = Mul(f, a) "
        "y = Add(d, x)",
        {"w": np.ones((3, 3), np.int8)},
    ),
]


@pytest.mark.parametrize(("text", "constants"), WAYS)
def test_quantized_model(text: str, constants: dict[str, Any]) -> None:
    if "s, z" in text:
        constants = {"s": 0.1, "z": np.array(0, np.int8)}
    with pytest.raises(UnsupportedOperatorError, match=r"(Linear|Integer).*export the float model"):
        gradcheck.check(text, (3, 3), **constants)


def test_integers_that_are_no_quantities_are_passed_over() -> None:
    gradcheck.check("i = Cast<to=7>(x) f = Cast<to=1>(i) y = Mul(f, x)", (3, 3))
    gradcheck.check("i = ArgMax<axis=1, keepdims=1>(x) f = Cast<to=1>(i) y = Mul(f, x)", (3, 3))
