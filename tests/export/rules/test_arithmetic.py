"""Element-wise arithmetic against central differences, broadcast in every way."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import ModelError, UnsupportedOperatorError
from fluxpath.export.rules import _registry

Shape = tuple[int, ...]

BINARY = {
    "Add": "y = Add({a}, {b})",
    "Sub": "y = Sub({a}, {b})",
    "Mul": "y = Mul({a}, {b})",
    # Sigmoid keeps the denominator away from zero.
    "Div": "d = Sigmoid({b}) y = Div({a}, d)",
    "Sum": "y = Sum({a}, {b}, {a})",
}
SHAPES: list[tuple[Shape, Shape]] = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), (1, 3, 1)),
    ((2, 3, 4), ()),
    ((2, 3, 4), (1,)),
    ((2, 1, 4), (3, 1)),
    ((1, 3, 4), (2, 3, 4)),
    ((2, 1), (3, 2, 4)),
    ((2, 1), (5, 3, 2, 4)),
    ((1, 1), (3, 4)),
    ((4,), (2, 3, 4)),
    ((1,), (2, 3)),
    ((), (2, 3)),
]


@pytest.mark.parametrize(("x", "w"), SHAPES, ids=str)
@pytest.mark.parametrize("op_type", BINARY)
def test_broadcasting(op_type: str, x: Shape, w: Shape) -> None:
    """With x left and right, sizes fixed; then with a batch that is dynamic where x has one."""
    for a, b in (("x", "w"), ("w", "x")):
        text = BINARY[op_type].format(a=a, b=b)
        gradcheck.check(text, x, dims=gradcheck.fixed(x), w=w)
        if len(x) > 1 and len(w) <= len(x):
            gradcheck.check(text, x, w=w)


@pytest.mark.parametrize("op_type", BINARY)
@pytest.mark.parametrize("shape", [(3, 1, 4), (3, 5, 4), (1, 5, 4)], ids=str)
def test_sizes_that_only_the_running_graph_knows(op_type: str, shape: Shape) -> None:
    """[n, m, 4] with [5, 1]: m may be 1, and is then summed over."""
    for a, b in (("x", "w"), ("w", "x")):
        gradcheck.check(BINARY[op_type].format(a=a, b=b), shape, dims="n,m,4", w=(5, 1))
    # Both operands dynamic: their names differ, their sizes may not.
    text = f"m = ReduceMean(x, one) t = Tanh(m) {BINARY[op_type].format(a='x', b='t')}"
    gradcheck.check(text, shape, dims="n,m,4", one=[1])
    gradcheck.check(text, shape, dims="n,m,k", one=[0])


def test_sizes_that_do_not_even_have_a_name() -> None:
    """Two unknown sizes are not equal sizes: here the one is three, the other one."""
    text = "m = Slice(x, zero, one, one) y = Mul(x, m)"
    gradcheck.check(text, (2, 3, 4), dims="?,?,4", zero=[0], one=[1])


def test_extra_leading_axes_of_unknown_size() -> None:
    gradcheck.check("y = Mul(x, w)", (1, 4), dims="n,4", w=(2, 3, 4))
    gradcheck.check("y = Mul(x, w)", (3, 4), dims="n,4", w=(2, 3, 4))


@pytest.mark.parametrize(
    "text",
    [
        "y = Mul(x, x)",
        "d = Sub(x, x) y = Add(d, x)",
        "y = Add(x, x)",
        "e = Sigmoid(x) y = Div(x, e)",
        "e = Sigmoid(x) y = Div(e, x)",
        "y = Sum(x, x, x)",
        "y = Sum(x)",
        "y = Neg(x)",
        "n = Neg(x) y = Mul(n, x)",
        "y = Identity(x)",
        "i = Identity(x) y = Mul(i, x)",
        "y = Dropout(x)",
        "a = Tanh(x) b = Mul(a, x) c = Add(a, b) y = Mul(c, a)",  # fan-out of three, at different depths
        "a = Tanh(x) unused = Neg(a) y = Mul(a, a)",
    ],
)
def test_fan_out(text: str) -> None:
    gradcheck.check(text, (2, 3))


def test_x_minus_x_has_a_gradient_of_zero() -> None:
    found = gradcheck.evaluate("y = Sub(x, x)", np.ones((2, 3)))
    np.testing.assert_array_equal(found.single, np.zeros((2, 3)))


def test_division_written_out() -> None:
    two, three = np.full((1, 1), 2.0), np.float32(3.0)
    assert gradcheck.evaluate("y = Div(x, c)", two, c=three).single == np.float32(1 / 3)
    assert gradcheck.evaluate("y = Div(c, x)", two, c=three).single == np.float32(-3 / 4)


@pytest.mark.parametrize("to", [1, 10, 11])
def test_cast_goes_back_to_the_element_type_before_it(to: int) -> None:
    """To float32, float16 and float64 and back again."""
    text = f"h = Cast<to={to}>(x) t = Mul(h, h) y = Cast<to=1>(t)"
    found = gradcheck.evaluate(text, np.array([[0.5, -2.0, 3.0]]))
    assert found.single.dtype == np.float32
    np.testing.assert_array_equal(found.single, [[1, -4, 6]])


@pytest.mark.parametrize("text", ["y = Floor(x)", "y = Sign(x)", "i = Cast<to=7>(x) y = Cast<to=1>(i)"])
def test_step_functions_alone_leave_nothing_to_explain(text: str) -> None:
    with pytest.raises(ModelError, match="'y' does not depend on input 'x' through differentiable operators"):
        gradcheck.check(text, (2, 3))


@pytest.mark.parametrize("step", ["Floor(x)", "Sign(x)", "Cast<to=7>(x)", "Greater(x, z)"])
def test_step_functions_beside_a_path_count_as_constants(step: str) -> None:
    text = f"s = {step} f = Cast<to=1>(s) y = Mul(f, x)"
    gradcheck.check(text, (2, 3), z=0.0)


def test_an_operator_without_a_rule_is_named() -> None:
    message = r"operator Det \(opset 19\) of node 'volume' has no derivative rule: .* supported operators"
    with pytest.raises(UnsupportedOperatorError, match=message):
        gradcheck.check("[volume] y = Det(x)", (2, 3, 3), opset=19)


def test_no_operator_is_registered_twice() -> None:
    with pytest.raises(ValueError, match="a rule for Add since opset 1 is registered already"):
        _registry.rule("Add")(lambda op, node, g: g)
    with pytest.raises(ValueError, match="Add is registered already"):
        _registry.cut("Add")
    with pytest.raises(ValueError, match="Floor since opset 1 is registered already"):
        _registry.rule("Floor")(lambda op, node, g: g)
