"""Activations against central differences, and their conventions at kinks written out (PyTorch's)."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

SMOOTH_AND_PIECEWISE = [
    "y = Relu(x)",
    "y = LeakyRelu(x)",
    "y = LeakyRelu<alpha=0.3>(x)",
    "y = LeakyRelu<alpha=-0.5>(x)",
    "y = Sigmoid(x)",
    "y = Tanh(x)",
    "y = HardSigmoid(x)",
    "y = HardSigmoid<alpha=0.75, beta=0.25>(x)",
    "y = HardSigmoid<alpha=-0.5, beta=0.5>(x)",
    "y = HardSwish(x)",
    "w = Mul(x, four) y = HardSwish(w)",
    "y = Softmax(x)",
    "y = LogSoftmax(x)",
    *(f"y = {kind}<axis={axis}>(x)" for kind in ("Softmax", "LogSoftmax") for axis in (0, 1, 2, -1, -2, -3)),
]


@pytest.mark.parametrize("text", SMOOTH_AND_PIECEWISE)
def test_activation(text: str) -> None:
    gradcheck.check(text, (4, 3, 5), **({"four": 4.0} if "four" in text else {}))


@pytest.mark.parametrize("text", ["y = Sigmoid(x)", "y = Tanh(x)", "y = Softmax<axis=2>(x)", "y = Relu(x)"])
def test_activation_with_dynamic_sizes(text: str) -> None:
    gradcheck.check(text, (2, 3, 4), dims="n,m,k")


BOUNDS = [
    ("y = Clip(x, low, high)", {"low": -0.5, "high": 0.75}),
    ("y = Clip(x, low)", {"low": -0.5}),
    ("y = Clip(x, , high)", {"high": 0.75}),
    ("y = Clip(x)", {}),
    ("high = Add(low, one) y = Clip(x, low, high)", {"low": -0.5, "one": 1.0}),
]


@pytest.mark.parametrize(("text", "bounds"), BOUNDS)
def test_clip(text: str, bounds: dict[str, float]) -> None:
    gradcheck.check(text, (4, 6), **bounds)


def test_bounds_that_depend_on_the_input_are_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="no derivative along its input 1"):
        gradcheck.check("m = ReduceMean<keepdims=0>(x) y = Clip(x, m)", (4, 6))


ABOVE, BELOW = np.nextafter(np.float32(1), 2), np.nextafter(np.float32(1), 0)
SIXTH = np.float32(1 / 6)


def beside(number: float) -> list[np.float32]:
    """The float32 before it, itself, and the one after it."""
    x = np.float32(number)
    return [np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.float32(np.inf))]


KINKS = [
    # What PyTorch 2.13 gives for the same function at the same places.
    ("y = Relu(x)", {}, [-1, -0.0, 0, 1e-30, 1], [0, 0, 0, 1, 1]),
    ("y = Relu(x)", {}, [3e38, np.inf, -np.inf, 1e-37], [1, 1, 0, 1]),
    ("y = LeakyRelu<alpha=0.25>(x)", {}, [-1, 0, 1], [0.25, 0.25, 1]),
    # torch.nn.functional.hardsigmoid is HardSigmoid with alpha 1/6.
    (f"y = HardSigmoid<alpha={1 / 6}>(x)", {}, [-4, -3, 0, 3, 4], [0, 0, SIXTH, 0, 0]),
    ("y = HardSigmoid<alpha=0.5>(x)", {}, [-2, -1, 0, 1, 2], [0, 0, 0.5, 0, 0]),
    ("y = HardSwish(x)", {}, [-4, -3, 0, 3, 4], [0, 0, 0.5, 1, 1]),
    ("y = HardSwish(x)", {}, [*beside(-3), *beside(3)], [0, 0, -0.5, 1.5, 1, 1]),
    ("y = HardSwish(x)", {}, [-3e38, -1.5, -1e-30, 1e-30, 1.5, 3e38], [0, 0, 0.5, 0.5, 1, 1]),
    # Both bounds constant: hardtanh and ReLU6, zero at the bounds.
    ("y = Clip(x, low, high)", {"low": -1, "high": 1}, [-2, -1, 0, BELOW, 1, 2], [0, 0, 1, 1, 0, 0]),
    ("y = Clip(x, low, high)", {"low": 0, "high": 6}, [-1, 0, 1, 6, 7], [0, 0, 1, 0, 0]),
    (
        "y = Clip(x, low, high)",
        {"low": -0.1, "high": 0.7},
        [*beside(-0.1), *beside(0.7)],
        [0, 0, 1, 1, 0, 0],
    ),
    ("y = Clip(x, low, high)", {"low": -2e7, "high": 0}, [-2e7, -1e7, -1e-30, 0], [0, 1, 1, 0]),
    # One bound, or bounds that are computed: torch.clamp, one at the bounds.
    ("y = Clip(x, low)", {"low": 1}, [BELOW, 1, ABOVE], [0, 1, 1]),
    ("y = Clip(x, , high)", {"high": 1}, [BELOW, 1, ABOVE], [1, 1, 0]),
    (
        "n = Sign(x) h = ReduceMax<keepdims=0>(n) y = Clip(x, low, h)",
        {"low": -1},
        [-2, -1, 0, 1, 2],
        [0, 1, 1, 1, 0],
    ),
    # A bound computed from constants is one.
    ("h = Neg(low) y = Clip(x, low, h)", {"low": -1}, [-2, -1, 0, 1, 2], [0, 0, 1, 0, 0]),
]


@pytest.mark.parametrize(("text", "constants", "x", "expected"), KINKS)
def test_kinks(text: str, constants: dict[str, float], x: list[float], expected: list[float]) -> None:
    found = gradcheck.evaluate(text, np.array([x], np.float32), **constants)
    np.testing.assert_allclose(found.single, [expected], rtol=1e-6)


def test_relu_passes_every_normal_number_and_no_gradient_of_a_zero_one() -> None:
    """The mask is a steep HardSigmoid; it must be exactly 0 or 1, and keep large and small gradients."""
    x = np.array([[np.finfo(np.float32).tiny, 1e-20, 1.0, 3.4e38, 0.0, -1e-38]], np.float32)
    seed = np.array([[1e30, -1e-30, 3.0, 1.0, 1e38, -1e38]], np.float32)
    found = gradcheck.evaluate("y = Relu(x)", x, seed)
    np.testing.assert_array_equal(found.single, seed * [[1, 1, 1, 1, 0, 0]])


def test_relu_of_another_element_type() -> None:
    """There the mask is a comparison."""
    text = "d = Cast<to=11>(x) r = Relu(d) s = Mul(r, r) y = Cast<to=1>(s)"
    found = gradcheck.evaluate(text, np.array([[-2.0, 0.0, 1e-30, 3.0]]))
    np.testing.assert_allclose(found.single, [[0, 0, 2e-30, 6]], rtol=1e-6)


def test_softmax_of_a_sure_prediction_keeps_small_gradients() -> None:
    """dp_1 = p_1 p_0 (g_1 - g_0): the small class's gradient is not lost beside a probability of one."""
    found = gradcheck.evaluate("y = Softmax(x)", np.array([[30.0, 0.0]]), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(found.single, [[-np.exp(-30), np.exp(-30)]], rtol=1e-5)


NORM = "q = Mul(h, h) s = ReduceSum<keepdims=1>(q, axes) y = Sqrt(s)"
"""Of zeros, its slope is infinite."""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "text",
    [
        "h = Relu(x)",
        "h = HardSwish(x)",
        "h = Clip(x, zero, two)",
        "h = Max(x, zero)",
        "h = ReduceMax<keepdims=1>(w, axes)",
    ],
)
def test_a_mask_lets_no_infinity_through(text: str) -> None:
    """Where PyTorch selects: zero times infinity would be NaN."""
    given = {k: v for k, v in {"zero": 0.0, "two": 2.0}.items() if k in text}
    text = text.replace("(w,", "(v,")
    text = f"v = Concat<axis=1>(x, nothing) {text}" if "(v," in text else text
    given |= {"nothing": np.zeros((1, 1), np.float32)} if "nothing" in text else {}
    found = gradcheck.evaluate(f"{text} {NORM}", np.full((1, 3), -4.0), axes=[1], **given)
    np.testing.assert_array_equal(found.single, np.zeros((1, 3)))


@pytest.mark.parametrize(("end", "count"), [("y = Mul(r, r)", 0), ("y = Sqrt(r)", 1), ("y = Pow(r, p)", 0)])
def test_only_what_may_be_infinite_is_selected(end: str, count: int) -> None:
    """A product is faster."""
    given = {"p": 2.0} if "p)" in end else {}
    model = gradcheck.differentiated(gradcheck.parse(f"r = Relu(x) {end}", "batch,3", **given))
    assert sum(node.op_type == "Where" for node in model.graph.node) == count
