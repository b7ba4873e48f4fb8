"""Convolution. Its gradient along the input is a transposed convolution with the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._constants import apart, backward
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules.activation import first


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution or pooling, with auto_pad resolved; one entry per spatial axis."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]
    auto_pad: str = "NOTSET"
    """Where it asks for SAME, only the running graph knows the pads, and those here are zeros."""

    @property
    def pads(self) -> list[int]:
        """ONNX's order: all begins, then all ends."""
        return [*self.before, *self.after]

    def extent(self, axis: int) -> int:
        """How far one window reaches."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def spatial_sizes(value: ir.Value) -> list[int] | None:
    """The spatial sizes of [batch, channel, ...]; None if they are not all known at export."""
    sizes = [d for d in dims(value)[2:] if isinstance(d, int)]
    return sizes if len(sizes) == len(dims(value)) - 2 else None


def static_spatial(value: ir.Value) -> list[int]:
    """The spatial sizes of [batch, channel, ...]; ValueError if they are not known at export."""
    sizes = spatial_sizes(value)
    if sizes is None:
        raise ValueError(f"needs fixed spatial sizes, and those of '{value.name}' are {dims(value)[2:]}")
    return sizes


def window(node: ir.Node, kernel: list[int]) -> Window:
    """The geometry of `node`."""
    n = len(kernel)
    strides = list(node.attributes.get_ints("strides", [1] * n))
    dilations = list(node.attributes.get_ints("dilations", [1] * n))
    auto = node.attributes.get_string("auto_pad", "NOTSET")
    pads = list(node.attributes.get_ints("pads", [0] * 2 * n))
    if auto == "VALID":
        pads = [0] * 2 * n
    if not auto.startswith("SAME"):
        return Window(kernel, strides, dilations, pads[:n], pads[n:])
    before, after = [], []
    for i, size in enumerate(dims(first(node))[2:]):
        if not isinstance(size, int) and strides[i] > 1:
            return Window(kernel, strides, dilations, [0] * n, [0] * n, auto)
        # With stride one the pads are the same for every size.
        size = size if isinstance(size, int) else 1
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
    n = len(geometry.kernel)
    missing = _missing(geometry, spatial_sizes(first(node)), spatial_sizes(node.outputs[0]))
    # At run time nothing is cut off the end, and the result then cut or padded to the input's size.
    after = geometry.after if missing is not None else [0] * n
    # ONNX Runtime has transposed convolutions with unequal pads on the CPU alone, which costs a graph on a
    # GPU two copies a layer and its capture: the surplus of one side is cut off afterwards.
    both = [min(pads) for pads in zip(geometry.before, after, strict=True)]
    start = [b - p for b, p in zip(geometry.before, both, strict=True)]
    # What the stride left over at the end had no part in the output; output_padding restores it. It must
    # stay below the stride, so what a too large pad or window leaves beyond that is padded afterwards.
    end = [m - (a - p) for m, a, p in zip(missing or [0] * n, after, both, strict=True)]
    inside = [max(0, min(e, s - 1)) for e, s in zip(end, geometry.strides, strict=True)]
    result = op(
        "ConvTranspose",
        g,
        again(op, weight, group),
        kernel_shape=geometry.kernel,
        strides=geometry.strides,
        dilations=geometry.dilations,
        pads=[*both, *both],
        output_padding=inside,
        group=group,
    )
    result = _cut(op, result, start, [max(0, -e) for e in end])
    if missing is None:
        return _fitted(op, result, first(node), geometry)
    beyond = [max(0, e - i) for e, i in zip(end, inside, strict=True)]
    return op("Pad", result, op.ints([0] * (2 + n) + [0, 0, *beyond])) if any(beyond) else result


def _cut(op: Builder, value: ir.Value, start: list[int], end: list[int]) -> ir.Value:
    """`value` without so many of the first and last elements of its spatial axes."""
    axes = [i for i in range(len(start)) if start[i] or end[i]]
    if not axes:
        return value
    first_kept, past = [start[i] for i in axes], [-end[i] or 2**31 - 1 for i in axes]
    return op("Slice", value, op.ints(first_kept), op.ints(past), op.ints([i + 2 for i in axes]))


def _missing(geometry: Window, sizes_in: list[int] | None, sizes_out: list[int] | None) -> list[int] | None:
    """By how much the windows end before the input does; None if only the running graph knows."""
    if sizes_in is None or sizes_out is None or geometry.auto_pad != "NOTSET":
        return None
    return [
        size - ((out - 1) * geometry.strides[i] + geometry.extent(i) - geometry.before[i] - geometry.after[i])
        for i, (size, out) in enumerate(zip(sizes_in, sizes_out, strict=True))
    ]


def _fitted(op: Builder, value: ir.Value, x: ir.Value, geometry: Window) -> ir.Value:
    """`value` padded, or cut, to the spatial sizes that `x` has at run time."""
    n = len(geometry.kernel)
    sizes, reached = (op("Shape", v, start=2, dtype=ir.DataType.INT64) for v in (x, value))
    missing = op("Sub", sizes, reached)
    if geometry.auto_pad == "NOTSET":
        return op("Pad", value, op("Concat", op.ints([0] * (n + 4)), missing, axis=0))
    pads = op("Max", op("Neg", missing), op.ints([0] * n))
    half = op("Div", pads, op.ints(2))
    before = half if geometry.auto_pad == "SAME_UPPER" else op("Sub", pads, half)
    parts = (op.ints([0, 0]), op("Neg", before), op.ints([0, 0]), op("Add", missing, before))
    return op("Pad", value, op("Concat", *parts, axis=0))


def again(op: Builder, weight: ir.Value, group: int) -> ir.Value:
    """The weights [out, in/group, ...] as the backward pass reads them; see `apart`."""
    out, each = dims(weight)[:2]
    square = isinstance(out, int) and isinstance(each, int) and out == group * each
    return apart(op, weight) if square and each != 1 else weight


@rule("Conv")
def conv(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    weight = node.inputs[1]
    assert weight is not None
    group = node.attributes.get_int("group", 1)
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
    return backward(op, swapped, axes) if axes else swapped
