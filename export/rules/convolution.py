"""Convolution. Its gradient along the input is a transposed convolution with the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, int_attribute, ints_attribute, rule, string_attribute
from fluxpath.export.rules.activation import first


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution or pooling, with auto_pad resolved; one entry a spatial axis."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @property
    def pads(self) -> list[int]:
        """ONNX's order: all begins, then all ends."""
        return [*self.before, *self.after]

    def extent(self, axis: int) -> int:
        """How far one window reaches."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def static_spatial(value: ir.Value) -> list[int]:
    """The spatial sizes of [batch, channel, ...]; ValueError if they are not known at export."""
    sizes = [d for d in dims(value)[2:] if isinstance(d, int)]
    if len(sizes) != len(dims(value)) - 2:
        raise ValueError(f"needs fixed spatial sizes, and those of '{value.name}' are {dims(value)[2:]}")
    return sizes


def window(node: ir.Node, kernel: list[int]) -> Window:
    """The geometry of `node`; needs the spatial sizes of its input where auto_pad asks for SAME."""
    n = len(kernel)
    strides = ints_attribute(node, "strides", [1] * n)
    dilations = ints_attribute(node, "dilations", [1] * n)
    auto = string_attribute(node, "auto_pad", "NOTSET")
    pads = ints_attribute(node, "pads", [0] * 2 * n)
    if auto == "VALID":
        pads = [0] * 2 * n
    if not auto.startswith("SAME"):
        return Window(kernel, strides, dilations, pads[:n], pads[n:])
    before, after = [], []
    for i, size in enumerate(static_spatial(first(node))):
        out = -(-size // strides[i])
        total = max(0, (out - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size)
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return Window(kernel, strides, dilations, before, after)


def kernel_of(weight: ir.Value) -> list[int]:
    """The spatial sizes of a weight tensor [out, in/group, ...]."""
    return static_spatial(weight)


def transposed_convolution(
    op: Builder, g: ir.Value, weight: ir.Value, geometry: Window, group: int, node: ir.Node
) -> ir.Value:
    """The adjoint of the convolution `node`, from the size of its output back to that of its input."""
    sizes_in, sizes_out = static_spatial(first(node)), static_spatial(node.outputs[0])
    missing = [
        size - ((out - 1) * geometry.strides[i] + geometry.extent(i) - geometry.before[i] - geometry.after[i])
        for i, (size, out) in enumerate(zip(sizes_in, sizes_out, strict=True))
    ]
    # What the stride left over at the end had no part in the output; output_padding restores it. It must
    # stay below the stride, so what a too large pad or window leaves beyond that is padded afterwards.
    inside = [max(0, min(m, s - 1)) for m, s in zip(missing, geometry.strides, strict=True)]
    beyond = [m - i for m, i in zip(missing, inside, strict=True)]
    result = op(
        "ConvTranspose",
        g,
        weight,
        kernel_shape=geometry.kernel,
        strides=geometry.strides,
        dilations=geometry.dilations,
        pads=geometry.pads,
        output_padding=inside,
        group=group,
    )
    if any(beyond):
        n = len(beyond)
        result = op("Pad", result, op.ints([0] * (2 + n) + [0, 0, *beyond]))
    return result


@rule("Conv")
def conv(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    weight = node.inputs[1]
    assert weight is not None
    group = int_attribute(node, "group", 1)
    geometry = window(node, kernel_of(weight))
    reach = [geometry.extent(i) - 1 for i in range(len(geometry.kernel))]
    before = [r - p for r, p in zip(reach, geometry.before, strict=True)]
    after = [r - p for r, p in zip(reach, geometry.after, strict=True)]
    plain = set(geometry.strides) == {1} and min(before + after) >= 0
    if not plain or not all(isinstance(d, int) for d in dims(weight)):
        return transposed_convolution(op, g, weight, geometry, group, node)
    # With stride one the adjoint is itself a convolution, and runtimes have their best code for those.
    return op(
        "Conv",
        g,
        mirrored(op, weight, group),
        kernel_shape=geometry.kernel,
        dilations=geometry.dilations,
        pads=[*before, *after],
        group=group,
    )


def mirrored(op: Builder, weight: ir.Value, group: int) -> ir.Value:
    """Weights [out, in/group, ...] with the channels swapped and every spatial axis reversed.

    Written as nodes on the shared initializer, which a runtime folds at load: the file does not grow.
    """
    out, each, *kernel = (d for d in dims(weight) if isinstance(d, int))
    n = len(kernel)
    if group == 1:
        swapped = op("Transpose", weight, perm=[1, 0, *range(2, 2 + n)])
    else:
        split = op("Reshape", weight, op.ints([group, out // group, each, *kernel]))
        split = op("Transpose", split, perm=[0, 2, 1, *range(3, 3 + n)])
        swapped = op("Reshape", split, op.ints([group * each, out // group, *kernel]))
    axes = [i + 2 for i, size in enumerate(kernel) if size > 1]
    if not axes:
        return swapped
    backward, past = [-1] * len(axes), [-(2**31)] * len(axes)
    return op("Slice", swapped, op.ints(backward), op.ints(past), op.ints(axes), op.ints(backward))
