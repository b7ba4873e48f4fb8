"""Operators that are expanded by their definitions, against central differences of the operators."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import onnx_ir as ir
import pytest

from fluxpath.export import rules
from fluxpath.export.reading import load

Q, K, V = (2, 4, 3, 8), (2, 4, 5, 8), (2, 4, 5, 6)


def attention(attributes: str, slot: str, extra: str = "", opset: int = 23, **constants: Any) -> None:
    shapes = {"q": Q, "k": K, "v": V} | {n: constants.pop(n) for n in "qkv" if n in constants}
    operands = ", ".join("x" if n == slot else n for n in shapes)
    own = {n: shape for n, shape in shapes.items() if n != slot}
    text = f"y = Attention<{attributes}>({operands}{extra})".replace("<>", "")
    gradcheck.check(text, shapes[slot], opset=opset, **own, **constants)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
@pytest.mark.parametrize("opset", [23, 24])
@pytest.mark.parametrize("attributes", ["", "is_causal=1", "scale=0.3", "softcap=2.0"])
def test_attention(attributes: str, opset: int, slot: str) -> None:
    attention(attributes, slot, opset=opset)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_attention_of_three_axes(slot: str) -> None:
    shapes = {"q": (2, 3, 8), "k": (2, 5, 8), "v": (2, 5, 8)}
    attention("q_num_heads=4, kv_num_heads=4", slot, **shapes)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_attention_with_shared_heads(slot: str) -> None:
    attention("", slot, k=(2, 2, 5, 8), v=(2, 2, 5, 6))


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_attention_with_a_mask(slot: str) -> None:
    attention("", slot, ", m", m=(3, 5))
    allowed = np.ones((3, 5), bool)
    allowed[0, 2:] = False
    attention("", slot, ", m", m=allowed)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_a_row_that_is_masked_as_a_whole_has_no_gradient(slot: str) -> None:
    allowed = np.ones((3, 5), bool)
    allowed[1] = False
    attention("", slot, ", m", m=allowed)


@pytest.mark.parametrize("slot", ["q", "k", "v"])
def test_attention_with_a_past(slot: str) -> None:
    past = {"pk": (2, 4, 2, 8), "pv": (2, 4, 2, 6)}
    shapes = {"q": Q, "k": K, "v": V}
    operands = ", ".join("x" if n == slot else n for n in shapes)
    own = {n: shape for n, shape in shapes.items() if n != slot}
    gradcheck.check(f"y, nk, nv = Attention({operands}, , pk, pv)", shapes[slot], opset=23, **own, **past)


def test_self_attention() -> None:
    text = "q = MatMul(x, a) k = MatMul(x, b) y = Attention<q_num_heads=2, kv_num_heads=2>(q, k, x)"
    gradcheck.check(text, (2, 3, 4), opset=23, a=(4, 4), b=(4, 4))
    gradcheck.check(text, (2, 3, 4), dims="batch,tokens,4", opset=23, a=(4, 4), b=(4, 4))


@pytest.mark.parametrize("attributes", ["", "interleaved=1", "rotary_embedding_dim=4"])
def test_rotary_embedding(attributes: str) -> None:
    width = 2 if "dim" in attributes else 4
    text = f"y = RotaryEmbedding<{attributes}>(x, c, s)".replace("<>", "")
    gradcheck.check(text, (2, 3, 5, 8), opset=23, dims="2,3,5,8", c=(2, 5, width), s=(2, 5, width))
    if not attributes:
        text = "y = RotaryEmbedding<num_heads=3>(x, c, s, p)"
        gradcheck.check(text, (2, 5, 24), opset=23, c=(9, 4), s=(9, 4), p=[[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]])


@pytest.mark.parametrize("size", [[4, 6], [7, 9], [3, 10], [5, 7]], ids=str)
def test_center_crop_pad(size: list[int]) -> None:
    gradcheck.check("y = CenterCropPad<axes=[1, 2]>(x, s)", (2, 5, 7), s=size)
    gradcheck.check("y = CenterCropPad(x, s)", (2, 5, 7), dims="2,5,7", s=[2, *size])


def prepared(text: str, dims: str, opset: int, **constants: Any) -> ir.Model:
    return load.prepare(gradcheck.parse(text, dims, opset, **constants))


def test_what_has_a_rule_is_kept() -> None:
    model = prepared("a = Softmax(x) y = Relu(a)", "2,3", 20)
    assert [n.op_type for n in model.graph] == ["Softmax", "Relu"]
    assert {"Softmax", "Relu"} <= set(rules.supported_operators())


def test_what_does_not_depend_on_the_input_is_kept() -> None:
    model = prepared("w = HannWindow<output_datatype=1>(n) y = Mul(x, w)", "2,8", 20, n=np.array(8))
    assert [n.op_type for n in model.graph] == ["HannWindow", "Mul"]


def test_shapes_outlive_the_expansion() -> None:
    model = prepared("c = CenterCropPad<axes=[1]>(x, s) y = Tanh(c)", "batch,5", 20, s=[3])
    y = gradcheck.inferred(model).graph.outputs[0]
    assert y.shape is not None and list(y.shape)[1] == 3
    assert list(model.opset_imports) == [""]
