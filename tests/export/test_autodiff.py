"""The driver: paths, fan-out, what cannot be differentiated and how it says so."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError, UnsupportedOperatorError, VerificationError
from fluxpath.export import supported_operators


def one_sentence(error: pytest.ExceptionInfo[BaseException]) -> None:
    text = str(error.value)
    assert "\n" not in text and not text.endswith(".") and len(text) < 400


# ---- control flow: x is read by the branches, not by the node


def branches(tail: str) -> onnx.ModelProto:
    text = (
        '<ir_version: 10, opset_import: ["": 20]> graph (float[batch,6] x) => (float[batch,5] y) { '
        "z = MatMul(x, v) r = ReduceSum<keepdims=0>(x) k = Greater(r, zero) "
        "i = If(k) <then_branch = t () => (float[batch,5] a) { a = Tanh(z) }, "
        f"else_branch = e () => (float[batch,5] b) {{ b = Neg(z) }}> {tail} }}"
    )
    model = onnx.parser.parse_model(text)
    for name, value in (("v", np.ones((6, 5), np.float32)), ("zero", np.zeros((), np.float32))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model


@pytest.mark.parametrize("tail", ["y = Identity(i)", "y = Add(i, z)", "y = Mul(z, i)"])
def test_control_flow_is_refused(tmp_path: Path, tail: str) -> None:
    """Also beside a path that could be differentiated: the gradient would lack the branch."""
    with pytest.raises(
        UnsupportedOperatorError, match=r"operator If \(opset 20\) of node .* no derivative rule"
    ) as e:
        small.export(branches(tail), tmp_path)
    one_sentence(e)
    assert not (tmp_path / "model.grad.onnx").exists()


def test_control_flow_off_the_path_is_kept(tmp_path: Path) -> None:
    model = branches("y = Identity(z)")
    model.graph.output.append(onnx.helper.make_tensor_value_info("i", onnx.TensorProto.FLOAT, ["batch", 5]))
    path = small.export(model, tmp_path, output="y").path
    x = small.images(2, 6)
    np.testing.assert_allclose(small.run(path, x, 1)["i"], small.run(model, x)["i"], rtol=1e-6)


# ---- no path at all


@pytest.mark.parametrize(
    ("text", "constants", "end"),
    [
        (
            "s = Shape(x) f = Cast<to=1>(s) [n] z = Floor(x) g = Flatten(z) m = MatMul(f, u) "
            "n = MatMul(g, v) y = Add(m, n)",
            {"u": (4, 5), "v": (48, 5)},
            "Floor",
        ),
        ("r = Relu(x) [n] s = Floor(r) f = Flatten(s) y = MatMul(f, v)", {"v": (48, 5)}, "Floor"),
        (
            "[n] a = ArgMax<axis=1, keepdims=0>(x) f = Cast<to=1>(a) g = Flatten(f) y = MatMul(g, v)",
            {"v": (16, 5)},
            "ArgMax",
        ),
        (
            "[n] k = Greater(x, half) f = Cast<to=1>(k) g = Flatten(f) y = MatMul(g, v)",
            {"v": (48, 5), "half": 0.5},
            "Greater",
        ),
    ],
)
def test_an_output_that_no_derivative_reaches(tmp_path: Path, text: str, constants: dict, end: str) -> None:
    where = (
        rf"the way ends at operator {end} \(opset 20\) of node 'n': take an output that is computed without"
    )
    with pytest.raises(ModelError, match=f"output 'y' does not depend on input 'x' .*{where}") as e:
        small.export(gradcheck.parse(text, "batch,3,4,4", **constants), tmp_path)
    one_sentence(e)
    assert not (tmp_path / "model.grad.onnx").exists()


def test_an_output_independent_of_the_input(tmp_path: Path) -> None:
    text = "s = Shape<start=0, end=1>(x) t = Concat<axis=0>(s, five) y = Expand(one, t)"
    with pytest.raises(ModelError, match=r"output 'y' does not depend on input 'x': take an output") as e:
        small.export(gradcheck.parse(text, "batch,3", five=[5], one=1.0), tmp_path)
    one_sentence(e)
    assert not (tmp_path / "model.grad.onnx").exists()


def test_argmax_beside_the_path_is_a_constant(tmp_path: Path) -> None:
    """A hard attention: the place is chosen by ArgMax, the value read there has the gradient."""
    text = "a = ArgMax<axis=1, keepdims=1>(x) f = Cast<to=1>(a) h = Mul(x, f) y = MatMul(h, v)"
    exported = small.export(gradcheck.parse(text, "batch,6", v=(6, 5)), tmp_path)
    assert exported.verification.error < 1e-5


# ---- quantised and foreign operators


def quantised() -> onnx.ModelProto:
    text = (
        "[n] q = QuantizeLinear(x, s, p) c = QLinearConv(q, s, p, w, s, p, s, p) "
        "d = DequantizeLinear(c, s, p) f = Flatten(d) y = MatMul(f, v)"
    )
    weights = np.random.default_rng(0).integers(0, 9, (2, 3, 3, 3)).astype(np.uint8)
    return gradcheck.parse(text, "batch,3,4,4", w=weights, s=0.1, p=np.array(0, np.uint8), v=(8, 5))


def test_quantised_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedOperatorError, match=r"operator \w+Linear\w* \(opset 20\) of node '\w+' has no deriv"
    ) as e:
        small.export(quantised(), tmp_path)
    one_sentence(e)
    assert not (tmp_path / "model.grad.onnx").exists()


def foreign(text: str, outputs: str = "y") -> onnx.ModelProto:
    header = (
        f'<ir_version: 10, opset_import: ["": 20, "com.acme": 1]> graph (float[batch,6] x) => ({outputs})'
    )
    model = onnx.parser.parse_model(f"{header} {{ {text} }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((6, 5), np.float32), "v"))
    return model


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("[n] h = com.acme.Relu(x) y = MatMul(h, v)", "float[batch,5] y"),
        ("y = MatMul(x, v) [n] h = com.acme.Relu(x)", "float[batch,5] y, float[batch,6] h"),
        ("[n] h = com.acme.Weight() w = Mul(v, h) y = MatMul(x, w)", "float[batch,5] y"),
    ],
    ids=["on the path", "a side output", "a constant"],
)
def test_operators_of_other_domains_are_named(tmp_path: Path, text: str, outputs: str) -> None:
    """Even one named as a standard operator: the gradient graph has standard operators only."""
    with pytest.raises(UnsupportedOperatorError, match=r"com\.acme.*node 'n'") as e:
        small.export(foreign(text, outputs), tmp_path)
    one_sentence(e)


def test_model_local_functions_are_inlined(tmp_path: Path) -> None:
    """The body of a function is differentiated like any nodes, wherever its name comes from."""
    text = """<ir_version: 10, opset_import: ["": 20, "local": 1]>
        graph (float[batch,6] x) => (float[batch,5] y) { h = local.Gate(x) y = MatMul(h, v) }
        <domain: "local", opset_import: ["": 20]> Gate (a) => (b) { s = Sigmoid(a) b = Mul(a, s) }"""
    model = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "v"))
    exported = small.export(model, tmp_path)
    assert exported.verification.error < 1e-5
    assert {o.domain for o in onnx.load(exported.path).opset_import} == {""}


# ---- models that do not run


@pytest.mark.parametrize(
    "text",
    [
        "f = Flatten(x) y = Gemm(f, v)",  # 48 features by 47 rows
        "f = Flatten(x) g = Reshape(f, odd) y = Gemm(g, v)",
    ],
)
def test_a_model_that_does_not_run(tmp_path: Path, text: str) -> None:
    model = gradcheck.parse(text, "batch,3,4,4", v=(48, 5), odd=[-1, 48])
    weight = np.ones((47, 5), np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "v"))
    with pytest.raises((ModelError, VerificationError)) as e:
        small.export(model, tmp_path)
    one_sentence(e)


def test_nan_is_no_verified_gradient(tmp_path: Path) -> None:
    text = "n = Sub(x, ten) l = Log(n) f = Flatten(l) y = MatMul(f, v)"
    with pytest.raises((VerificationError, UnsupportedOperatorError)):
        small.export(gradcheck.parse(text, "batch,6", ten=10.0, v=(6, 5)), tmp_path)


def test_the_list_of_supported_operators() -> None:
    names = supported_operators()
    assert list(names) == sorted(set(names))
    assert {"Conv", "Gemm", "MatMul", "Relu", "MaxPool", "Softmax"} <= set(names)
    assert not {"ArgMax", "Shape", "If"} & set(names)
