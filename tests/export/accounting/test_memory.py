"""Live bytes of small graphs against a slow twin, which asks at every node what lives."""

from __future__ import annotations

import gradcheck
import onnx_ir as ir
import pytest

from fluxpath.export.accounting.memory import held, in_order
from fluxpath.export.accounting.values import bytes_of, constants
from fluxpath.export.reading.inference import infer_shapes


def graph_of(text: str, sizes: str = "2,4,8,8", **weights) -> ir.Graph:
    return infer_shapes(ir.from_proto(gradcheck.parse(text, sizes, **weights))).graph


def slow_live(graph: ir.Graph) -> int:
    """The most bytes of values between their node and their last reader; no node writes over its input."""
    constant = constants(graph)
    order = in_order([n for n in graph if not all(v in constant for v in n.outputs)])
    most = 0
    for at in range(len(order)):
        alive = [
            v
            for made, node in enumerate(order[: at + 1])
            for v in node.outputs
            if v not in graph.outputs
            and max([made, *(k for k, n in enumerate(order) if v in n.inputs)]) >= at
        ]
        most = max(most, sum(bytes_of(v) or 0 for v in alive))
    return most


@pytest.mark.parametrize(
    "text",
    [
        "a = Transpose<perm=[0, 1, 3, 2]>(x) b = MatMul(x, a) c = MatMul(a, b) y = MatMul(b, c)",
        "a = Softmax(x) b = Softmax(a) c = Concat<axis=1>(a, b) d = Concat<axis=1>(c, x) y = Softmax(d)",
        "a = Softmax(x) b = Softmax(x) c = MatMul(b, a) y = Concat<axis=1>(a, c)",
        "a = Conv<pads=[1, 1, 1, 1]>(x, w) b = AveragePool<kernel_shape=[2, 2]>(a) y = GlobalAveragePool(b)",
    ],
)
def test_live_bytes_are_those_of_the_slow_twin(text):
    graph = graph_of(text, **({"w": (6, 4, 3, 3)} if "Conv<" in text else {}))
    found = held(graph, constants(graph))
    assert found.live == slow_live(graph) > 0
    assert found.arena >= found.live and not found.incomplete


def test_elementwise_results_take_the_place_of_what_nobody_reads_any_more():
    one = 2 * 4 * 8 * 8 * 4
    graph = graph_of("a = Softmax(x) b = Relu(a) c = Exp(b) d = Add(c, b) y = Softmax(d)")
    assert held(graph, constants(graph)).live == 2 * one  # b stays for d, c has its own


def test_a_transposed_convolution_works_in_columns_of_one_image():
    graph = graph_of("y = ConvTranspose<strides=[2, 2]>(x, w)", w=(4, 3, 3, 3))
    assert held(graph, constants(graph)).live == 3 * 3 * 3 * 8 * 8 * 4


def test_of_those_that_can_run_the_first_in_the_file_runs():
    graph = graph_of("a = Relu(x) b = Exp(a) s = Shape(a) c = Exp(x) d = Add(b, c) y = Reshape(d, s)")
    assert [n.op_type for n in in_order(list(graph))] == ["Relu", "Shape", "Exp", "Exp", "Add", "Reshape"]
