"""x sigmoid(x) is differentiated as one function, and the file has operators of its own opset only."""

from __future__ import annotations

from collections import Counter

import gradcheck
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from small import export, images, run, slope

from fluxpath.export.passes.gates import join_gates, write_gates
from fluxpath.runtime import profiling

GATED = "s = Sigmoid(c) r = Mul({}) p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, v)"


def gated(product: str = "c, s", more: str = "") -> onnx.ModelProto:
    """A convolution of 16 channels with its SiLU, as exporters write it."""
    text = f"c = Conv<pads=[1, 1, 1, 1]>(x, w, b) {GATED.format(product)} {more}"
    return gradcheck.parse(text, "batch,3,4,4", w=(16, 3, 3, 3), b=(16,), v=(16, 5))


def operators(path) -> Counter:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("product", ["c, s", "s, c"])
def test_the_gradient_has_four_operators_over_the_tensor_and_no_swish(tmp_path, product):
    model = gated(product)
    export(model, tmp_path)
    path = tmp_path / "model.grad.onnx"
    found = operators(path)
    assert found["Swish"] == 0 and found["Sigmoid"] == 1
    written = [n.op_type for n in onnx.load(path).graph.node if n.name.startswith("fluxpath/Swish/")]
    assert Counter(written) == {"HardSigmoid": 1, "Mul": 2, "Add": 1}
    x, v = images(3), np.random.default_rng(5).standard_normal((3, 3, 4, 4))
    given = run(path, x, 2)
    exact = slope(model, lambda z: np.exp(z)[:, 2] / np.exp(z).sum(1), x.astype(float), v)
    ours = given["scale"] * (given["gradient"] * v).reshape(3, -1).sum(1)
    np.testing.assert_allclose(ours, exact, rtol=1e-4)


def test_the_written_gate_keeps_its_names_and_values():
    model = ir.from_proto(gated(more="o = Relu(r) q = ReduceMean(s)"))
    before = [(n.op_type, n.outputs[0].name) for n in model.graph if n.op_type != "Sigmoid"]
    assert [n.op_type for n in join_gates(model).graph].count("Swish") == 1
    write_gates(model)
    after = [(n.op_type, n.outputs[0].name) for n in model.graph if n.op_type != "Sigmoid"]
    assert before == after
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_a_hard_swish_is_written_out_in_float32_alone():
    text = "h = HardSwish(x) d = Cast<to=10>(h) e = HardSwish(d) y = Cast<to=1>(e)"
    model = write_gates(ir.from_proto(gradcheck.parse(text, "2,3")))
    assert Counter(n.op_type for n in model.graph) == {"HardSigmoid": 1, "Mul": 1, "Cast": 2, "HardSwish": 1}


@pytest.mark.parametrize(
    "text", ["s = Sigmoid(x) y = Mul(s, s)", "s = Tanh(x) y = Mul(x, s)", "y = Mul(x, x)"]
)
def test_other_products_stay(text):
    model = ir.from_proto(gradcheck.parse(text, "2,3"))
    assert "Swish" not in {n.op_type for n in join_gates(model).graph}


@pytest.mark.parametrize("gate", ["s{0} = Sigmoid(c{0}) r{0} = Mul(c{0}, s{0})", "r{0} = HardSwish(c{0})"])
def test_nothing_of_a_gradient_through_blocked_convolutions_is_reordered(gate, tmp_path, monkeypatch):
    """Only the image's channels and the ends of the chain are: between the convolutions all stays blocked."""
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    gates = "c{0} = Conv<pads=[1, 1, 1, 1]>({1}, w{0}) " + gate
    text = " ".join(gates.format(i, "x" if i == 0 else f"r{i - 1}") for i in range(4))
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.standard_normal((16, 16 if i else 3, 3, 3)).astype("f4") / 9 for i in range(4)}
    tail = "p = GlobalAveragePool(r3) f = Flatten(p) y = Gemm(f, v)"
    export(gradcheck.parse(f"{text} {tail}", "batch,3,4,4", **weights, v=(16, 5)), tmp_path)
    nodes = profiling.profiled(tmp_path / "model.grad.onnx", 2, threads=1)
    assert sum(node.op_type.startswith("Reorder") for node in nodes) <= 3


def test_multipliers_stay_those_of_the_product(tmp_path):
    model = gated()
    export(model, tmp_path, rules="deeplift", objective="logit")
    names = [n.name for n in onnx.load(tmp_path / "model.grad.onnx").graph.node]
    assert not any(name.startswith("fluxpath/Swish/") for name in names)
