"""Transposed convolution. Its gradient along the input is the convolution with the same weights."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.convolution import again, kernel_of, static_spatial
from fluxpath.export.rules.gather import operand


@rule("ConvTranspose")
def conv_transpose(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    weight = operand(node, 1)
    kernel = kernel_of(weight)
    n = len(kernel)
    strides = list(node.attributes.get_ints("strides", [1] * n))
    dilations = list(node.attributes.get_ints("dilations", [1] * n))
    before, after = _pads(node, kernel, strides, dilations)
    if min(before) < 0 or any(a <= -s for a, s in zip(after, strides, strict=True)):
        raise ValueError("has an output that reaches further than its input does: pad it with Pad")
    group = node.attributes.get_int("group", 1)
    return op(
        "Conv",
        g,
        again(op, weight, group),
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        # What output_padding added at the end, less than a stride, the convolution leaves over.
        pads=[*before, *(max(0, p) for p in after)],
        group=group,
    )


def _pads(
    node: ir.Node, kernel: list[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    """How much of the full result is cut off on either side, output_padding counted as given back."""
    n = len(kernel)
    extra = list(node.attributes.get_ints("output_padding", [0] * n))
    auto = node.attributes.get_string("auto_pad", "NOTSET")
    if "output_shape" not in node.attributes and not auto.startswith("SAME"):
        pads = list(node.attributes.get_ints("pads", [0] * 2 * n)) if auto == "NOTSET" else [0] * 2 * n
        return pads[:n], [p - e for p, e in zip(pads[n:], extra, strict=True)]
    before, after = [], []
    for i, beyond in enumerate(_beyond(node, strides)):
        total = extra[i] + (kernel[i] - 1) * dilations[i] + 1 - beyond
        small = total // 2
        before.append(small if auto == "SAME_UPPER" else total - small)
        after.append(total - before[-1] - extra[i])
    return before, after


def _beyond(node: ir.Node, strides: list[int]) -> list[int]:
    """By how much the output is longer than stride times (the input's size - 1)."""
    if "output_shape" not in node.attributes:
        # SAME asks for stride times the size, whatever that is.
        return strides
    sizes_in, sizes_out = static_spatial(first(node)), static_spatial(node.outputs[0])
    return [out - s * (size - 1) for s, size, out in zip(strides, sizes_in, sizes_out, strict=True)]
