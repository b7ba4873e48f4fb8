"""The shortcut without parameters as a convolution: the same bits, and only where it is that shortcut."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from fluxpath.export import gradient_from_onnx
from fluxpath.export.passes.shortcut import convolve_shortcuts

TEXT = """
<ir_version: 10, opset_import: ["": 20]>
graph (float[batch,{channels},9,12] x) => (float[batch,O,H,W] y)
{{
    a = Relu(x)
    {chain}
}}
"""
TWO_SLICES = "r = Slice(a, zero, end, two, step) s = Slice(r, zero, end, three, step)"
ONE_SLICE = "s = Slice(a, zeros, ends, spatial, steps)"
PAD = "y = Pad(s, pads)"
CONSTANTS = {
    "zero": [0],
    "end": [2**31 - 1],
    "two": [2],
    "three": [-1],
    "step": [2],
    "zeros": [0, 0],
    "ends": [9, 12],
    "spatial": [2, 3],
    "steps": [3, 2],
    "pads": [0, 8, 0, 0, 0, 8, 0, 0],
    "one_sided": [0, 16, 0, 0, 0, 0, 0, 0],
    "cut": [0, -8, 0, 0, 0, 8, 0, 0],
    "frame": [0, 8, 0, 0, 0, 8, 1, 1],
    "odd": [0, 8, 0, 0, 0, 7, 0, 0],
    "shifted": [1, 0],
    "short": [8, 11],
    "ones": [1, 1],
    "backward": [-1, -1],
    "minus": [-1],
    "below": [-(2**31)],
    "channel": [1],
    "batchwise": [0],
}


def model(chain: str, channels: int = 16) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(TEXT.format(chain=chain, channels=channels))
    for name, numbers in CONSTANTS.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(numbers, np.int64), name))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.0), "nought"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    return proto


def convolved(proto: onnx.ModelProto) -> onnx.ModelProto:
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    convolve_shortcuts(graph)
    return ir.to_proto(graph)


def operators(proto: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in proto.graph.node)


@pytest.mark.parametrize(
    "chain",
    [
        f"{TWO_SLICES} {PAD}",
        f"{ONE_SLICE} {PAD}",
        f"{ONE_SLICE} y = Pad(s, one_sided)",
        f"{ONE_SLICE} y = Pad(s, pads, nought)",
        f"{TWO_SLICES} p = Pad(s, pads) y = Neg(p)",
    ],
)
def test_the_same_bits(chain):
    proto = model(chain)
    written = convolved(proto)
    assert operators(written)["Conv"] == 1 and operators(written)["Pad"] == 0
    x = np.random.default_rng(0).standard_normal((2, 16, 9, 12)).astype(np.float32)
    before, after = (ReferenceEvaluator(m).run(None, {"x": x})[0] for m in (proto, written))
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    "chain",
    [
        f"{ONE_SLICE} y = Pad(s, cut)",
        f"{ONE_SLICE} y = Pad(s, frame)",
        f"{ONE_SLICE} y = Pad(s, odd)",
        f"{ONE_SLICE} y = Pad(s, pads, half)",
        f'{ONE_SLICE} y = Pad<mode="edge">(s, pads)',
        "s = Slice(a, shifted, ends, spatial, steps) y = Pad(s, pads)",
        "s = Slice(a, zeros, short, spatial, steps) y = Pad(s, pads)",
        "s = Slice(a, zeros, ends, spatial, ones) y = Pad(s, pads)",
        "s = Slice(a, minus, below, two, minus) y = Pad(s, pads)",
        "s = Slice(a, zero, end, channel, step) y = Pad(s, pads)",
        "s = Slice(a, zero, end, batchwise, step) y = Pad(s, pads)",
        "y = Pad(a, pads)",
    ],
)
def test_anything_else_is_left_alone(chain):
    proto = model(chain)
    onnx.checker.check_model(proto)
    assert operators(convolved(proto)) == operators(proto)


def test_channels_that_fill_no_block_are_left_alone():
    assert operators(convolved(model(f"{ONE_SLICE} {PAD}", channels=8)))["Pad"] == 1


def test_a_gradient_graph_has_it_and_is_verified(tmp_path):
    proto = model(f"{TWO_SLICES} p = Pad(s, pads) m = GlobalAveragePool(p) y = Flatten(m)")
    proto.graph.output[0].type.tensor_type.shape.CopyFrom(
        onnx.helper.make_tensor_value_info("y", 1, ["batch", 32]).type.tensor_type.shape
    )
    onnx.save(proto, tmp_path / "m.onnx")
    written = onnx.load(gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", objective="logit").path)
    assert operators(written)["Conv"] == 1 and operators(written)["Pad"] == 0
    x = np.random.default_rng(1).random((1, 16, 9, 12)).astype(np.float32)
    gradient = ReferenceEvaluator(written).run(["gradient"], {"x": x, "target": np.array([9])})[0]
    expected = np.zeros_like(x)
    expected[:, 1, ::2, ::2] = 1 / 30  # channel 9 is the second behind eight of zeros; 5 x 6 pixels are left
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
