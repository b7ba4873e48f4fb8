"""A scale of the channels before a convolution goes into its weights, and stays wherever it cannot."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from fluxpath.export import gradient_from_onnx
from fluxpath.export.passes.scale import fold_scales

TEXT = """
<ir_version: 10, opset_import: ["": 20]>
graph (float[batch,{channels},6,5] x) => (float[N,C,H,W] y{more})
{{
    a = Abs(x)
    {chain}
}}
"""
RNG = np.random.default_rng(0)
CONSTANTS = {
    "deviation": RNG.uniform(0.2, 0.3, (1, 4, 1, 1)),
    "three_axes": RNG.uniform(0.2, 0.3, (4, 1, 1)),
    "one": RNG.uniform(0.2, 0.3, ()),
    "rows": RNG.uniform(0.2, 0.3, (1, 1, 6, 1)),
    "rows_too": RNG.uniform(0.2, 0.3, (1, 4, 6, 1)),
    "last": RNG.uniform(0.2, 0.3, (5,)),
    "nought": np.array([0.5, 0.0, 1.0, 2.0]).reshape(4, 1, 1),
    "huge": np.full((4, 1, 1), 1e38),
    "large": np.full((8, 4, 3, 3), 1e3),
    "w": RNG.standard_normal((8, 4, 3, 3)),
    "w2": RNG.standard_normal((6, 4, 1, 1)),
    "grouped": RNG.standard_normal((8, 2, 3, 3)),
    "depthwise": RNG.standard_normal((4, 1, 3, 3)),
}
CONV = "y = Conv<pads=[1,1,1,1]>"


def model(chain: str, channels: int = 4, more: str = "") -> onnx.ModelProto:
    proto = onnx.parser.parse_model(TEXT.format(chain=chain, channels=channels, more=more))
    for name, array in CONSTANTS.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    return proto


def folded(proto: onnx.ModelProto) -> onnx.ModelProto:
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    fold_scales(graph)
    return ir.to_proto(graph)


def operators(proto: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in proto.graph.node)


@pytest.mark.parametrize(
    ("chain", "convolutions"),
    [
        (f"s = Div(a, deviation) {CONV}(s, w)", 1),
        (f"s = Mul(a, deviation) {CONV}(s, w)", 1),
        (f"s = Mul(deviation, a) {CONV}(s, w)", 1),
        (f"s = Div(a, three_axes) {CONV}(s, w)", 1),
        (f"s = Div(a, one) {CONV}(s, w)", 1),
        (f"s = Mul(a, nought) {CONV}(s, w)", 1),
        (f"s = Mul(a, one) t = Div(s, deviation) {CONV}(t, w)", 1),
        ("s = Div(a, deviation) y = Conv<pads=[1,1,1,1],group=2>(s, grouped)", 1),
        ("s = Div(a, deviation) y = Conv<pads=[1,1,1,1],group=4>(s, depthwise)", 1),
        ("s = Div(a, deviation) u = Conv<pads=[1,1,1,1]>(s, w) v = Conv(s, w2) y = Concat<axis=1>(u, v)", 2),
    ],
)
def test_the_scale_goes_into_the_weights(chain, convolutions):
    before = model(chain)
    after = folded(before)
    assert operators(after)["Conv"] == convolutions
    assert not operators(after) & Counter({"Mul": 9, "Div": 9})
    x = np.random.default_rng(1).standard_normal((2, 4, 6, 5)).astype(np.float32)
    wanted = ReferenceEvaluator(before).run(None, {"x": x})[0]
    got = ReferenceEvaluator(after).run(None, {"x": x})[0]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("chain", "channels"),
    [
        (f"s = Div(deviation, a) {CONV}(s, w)", 4),  # one over the image
        (f"s = Mul(a, rows) {CONV}(s, w)", 4),
        (f"s = Mul(a, rows_too) {CONV}(s, w)", 4),
        (f"s = Mul(a, last) {CONV}(s, w)", 4),
        (f"s = Div(a, nought) {CONV}(s, w)", 4),
        (f"s = Mul(a, huge) {CONV}(s, large)", 4),
        (f"s = Mul(a, deviation) {CONV}(s, w)", 1),  # which makes four channels of one
        (f"s = Mul(a, a) {CONV}(s, w)", 4),
        (f"v = Abs(w) s = Mul(a, deviation) {CONV}(s, v)", 4),  # weights that are computed
        (f"s = Mul(a, deviation) u = Add(s, a) {CONV}(u, w)", 4),
        ("s = Mul(a, deviation) u = Conv<pads=[1,1,1,1]>(s, depthwise_sum) y = Add(s, u)", 4),
    ],
)
def test_any_other_product_stays(chain, channels):
    proto = model(chain, channels)
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), "depthwise_sum")
    )
    assert operators(folded(proto)) == operators(proto)


def test_a_product_that_the_model_gives_out_stays():
    proto = model(f"s = Mul(a, deviation) {CONV}(s, w)", more=", float[N,C,H,W] s")
    assert operators(folded(proto)) == operators(proto)


def test_weights_that_others_share_keep_their_values():
    proto = model("s = Mul(a, deviation) u = Conv(s, w2) v = Conv(a, w2) y = Concat<axis=1>(u, v)")
    x = np.random.default_rng(1).standard_normal((2, 4, 6, 5)).astype(np.float32)
    wanted = ReferenceEvaluator(proto).run(None, {"x": x})[0]
    got = ReferenceEvaluator(folded(proto)).run(None, {"x": x})[0]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def test_a_normalised_classifier_has_no_division_left_for_it(tmp_path):
    text = """
    <ir_version: 10, opset_import: ["": 20]>
    graph (float[batch,4,6,5] x) => (float[batch,8] logits)
    {
        h = Conv<pads=[1,1,1,1]>(x, w)
        r = Relu(h)
        p = GlobalAveragePool(r)
        logits = Flatten(p)
    }
    """
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(CONSTANTS["w"].astype(np.float32), "w"))
    onnx.save(proto, tmp_path / "model.onnx")
    exported = gradient_from_onnx(
        tmp_path / "model.onnx", tmp_path / "g.onnx", mean=[0.4] * 4, std=[0.2, 0.25, 0.3, 0.35]
    )
    by_image = [
        node
        for node in onnx.load(exported.path).graph.node
        if node.op_type in ("Mul", "Div") and {"x", "gradient"} & {*node.input, *node.output}
    ]
    assert by_image == []
