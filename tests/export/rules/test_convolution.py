"""Convolution against central differences, over its whole geometry."""

from __future__ import annotations

import itertools

import gradcheck
import numpy as np
import pytest

from fluxpath.errors import UnsupportedOperatorError

Shape = tuple[int, ...]

GEOMETRIES: list[tuple[Shape, Shape, str]] = [
    # 1-D
    ((2, 3, 9), (4, 3, 3), ""),
    ((2, 3, 9), (4, 3, 3), "pads=[1, 1]"),
    ((2, 3, 10), (4, 3, 3), "strides=[3], pads=[0, 2]"),
    ((2, 4, 11), (6, 2, 2), "group=2, strides=[2], dilations=[3]"),
    ((2, 4, 7), (4, 1, 3), "group=4, pads=[2, 2]"),
    ((2, 3, 9), (4, 3, 4), 'strides=[2], auto_pad="SAME_LOWER"'),
    # 2-D, stride 1: the adjoint is a convolution
    ((2, 3, 6, 7), (4, 3, 1, 1), ""),
    ((2, 3, 6, 7), (4, 3, 3, 3), ""),
    ((2, 3, 6, 7), (4, 3, 3, 3), "pads=[1, 1, 1, 1]"),
    ((2, 3, 6, 7), (4, 3, 3, 5), "pads=[1, 0, 2, 4]"),
    ((2, 3, 6, 7), (4, 3, 1, 3), "pads=[0, 1, 0, 1]"),
    ((2, 3, 8, 9), (4, 3, 3, 2), "dilations=[2, 3], pads=[1, 2, 3, 0]"),
    ((2, 4, 6, 6), (6, 2, 3, 3), "group=2, pads=[1, 1, 1, 1]"),
    ((2, 4, 6, 6), (8, 1, 3, 3), "group=4, pads=[1, 1, 1, 1]"),
    ((2, 4, 6, 6), (4, 1, 3, 3), "group=4, dilations=[2, 2], pads=[2, 1, 2, 3]"),
    ((2, 3, 6, 7), (4, 3, 3, 4), 'auto_pad="SAME_UPPER"'),
    ((2, 3, 6, 7), (4, 3, 3, 4), 'auto_pad="SAME_LOWER"'),
    ((2, 3, 6, 7), (4, 3, 3, 3), 'auto_pad="VALID"'),
    # pads larger than kernel - 1
    ((2, 3, 4, 4), (4, 3, 3, 3), "pads=[3, 3, 4, 5]"),
    ((2, 3, 4, 4), (4, 3, 1, 1), "pads=[1, 2, 2, 1]"),
    ((2, 3, 4, 4), (4, 3, 2, 2), "pads=[3, 0, 1, 4], strides=[2, 3]"),
    ((2, 4, 4, 4), (4, 2, 3, 3), "group=2, pads=[3, 1, 0, 4]"),
    # 2-D, strides; some leave elements over that no window reaches
    ((2, 3, 8, 8), (4, 3, 3, 3), "strides=[2, 2], pads=[1, 1, 1, 1]"),
    ((2, 3, 7, 7), (4, 3, 3, 3), "strides=[2, 2], pads=[1, 1, 1, 1]"),
    ((2, 3, 8, 9), (4, 3, 3, 3), "strides=[2, 3]"),
    ((2, 3, 9, 9), (4, 3, 1, 1), "strides=[2, 2]"),
    ((2, 3, 8, 8), (4, 3, 1, 1), "strides=[2, 2]"),
    ((2, 3, 8, 8), (4, 3, 1, 1), "strides=[3, 3]"),
    ((2, 3, 11, 8), (4, 3, 2, 2), "strides=[3, 3]"),
    ((2, 3, 8, 8), (4, 3, 3, 3), "strides=[1, 2], pads=[1, 0, 1, 1]"),
    ((2, 3, 9, 9), (4, 3, 2, 2), "strides=[4, 4]"),
    ((2, 3, 8, 8), (4, 3, 4, 4), "strides=[4, 4]"),
    ((2, 4, 9, 8), (4, 1, 3, 3), "group=4, strides=[2, 2], pads=[1, 1, 1, 1]"),
    ((2, 4, 9, 8), (6, 2, 3, 3), "group=2, strides=[2, 3], dilations=[2, 1], pads=[2, 0, 1, 1]"),
    ((2, 3, 8, 8), (4, 3, 3, 3), 'strides=[2, 2], auto_pad="SAME_UPPER"'),
    ((2, 3, 8, 8), (4, 3, 3, 3), 'strides=[2, 2], auto_pad="SAME_LOWER"'),
    ((2, 3, 7, 8), (4, 3, 2, 5), 'strides=[3, 2], auto_pad="SAME_UPPER"'),
    ((2, 3, 7, 8), (4, 3, 2, 5), 'strides=[3, 2], auto_pad="SAME_LOWER"'),
    ((2, 3, 7, 8), (4, 3, 1, 1), 'strides=[3, 2], auto_pad="SAME_UPPER"'),
    ((2, 3, 9, 8), (4, 3, 3, 3), 'strides=[2, 2], auto_pad="VALID"'),
    # a window that covers everything
    ((2, 3, 5, 5), (4, 3, 5, 5), ""),
    ((2, 3, 5, 5), (4, 3, 5, 5), "strides=[2, 2]"),
    # 3-D
    ((2, 2, 4, 5, 5), (3, 2, 2, 3, 3), "pads=[0, 1, 1, 1, 1, 1]"),
    ((2, 2, 5, 5, 6), (3, 2, 3, 3, 3), "strides=[2, 2, 3], pads=[1, 0, 1, 1, 1, 1]"),
    ((2, 4, 5, 5, 5), (4, 2, 2, 2, 2), "group=2, dilations=[2, 1, 3]"),
]


@pytest.mark.parametrize(("x", "w", "attributes"), GEOMETRIES, ids=str)
def test_conv(x: Shape, w: Shape, attributes: str) -> None:
    gradcheck.check(f"y = Conv<{attributes}>(x, w)" if attributes else "y = Conv(x, w)", x, w=w)


@pytest.mark.parametrize("sizes", ["given", "open"])
@pytest.mark.parametrize(("x", "w", "attributes"), GEOMETRIES, ids=str)
def test_pads_of_a_transposed_convolution_are_equal(x: Shape, w: Shape, attributes: str, sizes: str) -> None:
    """ONNX Runtime runs those with others on the CPU, and refuses to capture a graph with a part there."""
    dims = ["n", x[1], *(x[2:] if sizes == "given" else "hwd"[: len(x) - 2])]
    text = f"y = Conv<{attributes}>(x, w)" if attributes else "y = Conv(x, w)"
    forward = gradcheck.parse(text, ",".join(map(str, dims)), w=w)
    for node in gradcheck.differentiated(forward).graph.node:
        if node.op_type == "ConvTranspose":
            (pads,) = (list(a.ints) for a in node.attribute if a.name == "pads")
            assert pads[: len(w) - 2] == pads[len(w) - 2 :]


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_conv_with_every_small_stride_dilation_and_pad(kernel: int) -> None:
    """All in one graph, so that the whole grid costs one evaluation."""
    nodes, constants = [], {}
    grid = itertools.product((1, 2, 3), (1, 2), (0, 1, 3), (0, 2))
    for i, (stride, dilation, before, after) in enumerate(grid):
        geometry = f"strides=[{stride}], dilations=[{dilation}], pads=[{before}, {after}]"
        nodes.append(f"c{i} = Conv<{geometry}>(x, w{i}) s{i} = ReduceSum<keepdims=0>(c{i}, last)")
        constants[f"w{i}"] = (1 + i % 3, 2, kernel)
    parts = ", ".join(f"s{i}" for i in range(len(nodes)))
    text = f"{' '.join(nodes)} y = Concat<axis=1>({parts})"
    gradcheck.check(text, (2, 2, 8), last=[-1], **constants)


def test_conv_with_bias_and_computed_weights() -> None:
    gradcheck.check("y = Conv<pads=[1, 1, 1, 1]>(x, w, b)", (2, 3, 5, 5), w=(4, 3, 3, 3), b=(4,))
    text = "w = Mul(v, v) y = Conv<strides=[2, 2]>(x, w)"
    gradcheck.check(text, (2, 3, 6, 6), v=(4, 3, 3, 3))
    gradcheck.check(text.replace("strides=[2, 2]", "group=1"), (2, 3, 6, 6), v=(4, 3, 3, 3))


@pytest.mark.parametrize(("x", "w", "attributes"), GEOMETRIES, ids=str)
def test_dynamic_image_sizes(x: Shape, w: Shape, attributes: str) -> None:
    sizes = ",".join("hwd"[: len(x) - 2])
    text = f"y = Conv<{attributes}>(x, w)" if attributes else "y = Conv(x, w)"
    gradcheck.check(text, x, dims=f"n,{x[1]},{sizes}", w=w)


@pytest.mark.parametrize("attributes", ["strides=[2, 2]", 'strides=[2, 2], auto_pad="SAME_UPPER"'])
@pytest.mark.parametrize("shape", [(1, 3, 5, 8), (2, 3, 6, 7), (3, 3, 9, 4)], ids=str)
def test_one_graph_takes_images_of_any_size(attributes: str, shape: Shape) -> None:
    gradcheck.check(f"y = Conv<{attributes}>(x, w)", shape, dims="n,3,h,w", w=(4, 3, 3, 3))
    gradcheck.check(f"y = Conv<{attributes}>(x, w)", shape, dims=f"n,3,{shape[2]},w", w=(4, 3, 3, 3))


@pytest.mark.parametrize(
    "text", ["y = Conv(image, x)", "bias = ReduceSum<keepdims=0>(x, axes) y = Conv(image, w, bias)"]
)
def test_gradients_of_weights_are_refused(text: str) -> None:
    constants = {"image": (2, 3, 5, 5), "w": (4, 3, 3, 3), "axes": [1, 2, 3]}
    with pytest.raises(UnsupportedOperatorError, match=r"no derivative along its input [12]"):
        gradcheck.check(text, (4, 3, 3, 3), dims="4,3,3,3", **constants)


def test_the_gradient_of_a_sum_counts_the_windows_over_each_element() -> None:
    """Written out: kernel 3, stride 2, five elements, one pad in front."""
    found = gradcheck.evaluate(
        "y = Conv<strides=[2], pads=[1, 0]>(x, w)", np.zeros((1, 1, 5)), w=np.ones((1, 1, 3), np.float32)
    )
    expected = [[[1, 2, 1, 1, 0]]]  # windows at -1..1, 1..3; the last element is left over
    np.testing.assert_array_equal(found.single, expected)
    np.testing.assert_array_equal(found.double, expected)
