"""Resize: a linear map of each axis by itself, whose matrix is what the operator makes of an identity.

Taken from the operator in the running graph, the matrix agrees with the forward pass on every
coordinate mode, filter and rounding of that runtime, which differ in places; it depends on constants
alone where sizes are fixed, and runtimes compute it once, when they load the graph.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import Size, as_vector, joined, reshape, size, sizes
from fluxpath.export.rules.activation import first

_COPIED = (
    "antialias",
    "coordinate_transformation_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "mode",
    "nearest_mode",
)
_REPEATS = {
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("asymmetric", "floor"),
}
"""Coordinate and rounding modes in which nearest by a whole factor repeats every element that often."""


@rule("Resize", since=11)
def resize(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x = first(node)
    rank = len(dims(x))
    if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("keeps the aspect ratio: give the sizes that this leads to, or scales")
    axes = [a % rank for a in list(node.attributes.get_ints("axes", range(rank)))]
    changed = [(i, axis) for i, axis in enumerate(axes) if not _kept(node, i, axis)]
    factors = {axis: _repeats(node, i, axis) for i, axis in changed}
    if all(f is not None for f in factors.values()):
        return _summed_repeats(op, x, g, {axis: f for axis, f in factors.items() if f is not None})
    for i, axis in changed:
        g = _along(op, g, _matrix(op, node, i, axis), axis, rank)
    return g


def _kept(node: ir.Node, i: int, axis: int) -> bool:
    """Whether the `i`-th resized axis stays as it is."""
    if _coordinates(node) == "tf_crop_and_resize":
        roi = constant_of(node.inputs[1])
        whole = roi is not None and float(roi[i]) == 0.0 and float(roi[len(roi) // 2 + i]) == 1.0
        if not whole:
            return False
    scales = constant_of(_given(node, 2))
    if scales is not None and scales.size:
        return float(scales[i]) == 1.0
    before, after = dims(first(node))[axis], dims(node.outputs[0])[axis]
    if before is not None and before == after:
        return True
    # A batch of unknown size is never resized: its members are unrelated.
    return axis == 0 and not isinstance(before, int) and not isinstance(after, int)


def _repeats(node: ir.Node, i: int, axis: int) -> int | None:
    """How often nearest repeats every element of an axis; None where it is not that simple."""
    rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    if (
        node.attributes.get_string("mode", "nearest") != "nearest"
        or (_coordinates(node), rounding) not in _REPEATS
    ):
        return None
    scales = constant_of(_given(node, 2))
    if scales is not None and scales.size:
        factor = float(scales[i])
        return int(factor) if factor.is_integer() else None
    before, after = dims(first(node))[axis], dims(node.outputs[0])[axis]
    if not isinstance(before, int) or not isinstance(after, int) or not before or after % before:
        return None
    return after // before


def _summed_repeats(op: Builder, x: ir.Value, g: ir.Value, factors: dict[int, int]) -> ir.Value:
    """Cut every repeated axis into (element, repeat) and sum over the repeats."""
    if not factors:
        return g
    parts: list[Size] = []
    axes = []
    for axis, length in enumerate(sizes(op, x)):
        parts.append(length)
        if axis in factors:
            axes.append(len(parts))
            parts.append(factors[axis])
    return op("ReduceSum", reshape(op, g, parts), op.ints(axes), keepdims=0)


def _matrix(op: Builder, node: ir.Node, i: int, axis: int) -> ir.Value:
    """[size before, size after]: row p is what the operator makes of a one at p among zeros."""
    x = first(node)
    length = size(op, x, axis)
    side = joined(op, [length, length])
    identity = op("EyeLike", op.zeros(side, x))
    identity = op("Reshape", identity, joined(op, [length, 1, 1, length]))
    attributes = {name: node.attributes[name].value for name in _COPIED if name in node.attributes}
    resized = op.node("Resize", [identity, *_operands(op, node, i, axis, length)], 1, None, attributes)[0]
    return op("Reshape", resized, joined(op, [length, size(op, node.outputs[0], axis)]))


def _operands(op: Builder, node: ir.Node, i: int, axis: int, length: Size) -> list[ir.Value | None]:
    """roi, scales and sizes for the identity, which is resized along its last axis only."""
    roi = None
    if _coordinates(node) == "tf_crop_and_resize":
        given = node.inputs[1]
        assert given is not None and given.dtype is not None
        count = len(node.attributes.get_ints("axes", range(len(dims(first(node))))))
        start, end = (op("Slice", given, op.ints([k]), op.ints([k + 1])) for k in (i, count + i))
        zeros, ones = (op.constant([number] * 3, given.dtype.numpy()) for number in (0, 1))
        roi = op("Concat", zeros, start, ones, end, axis=0)
    scales = _given(node, 2)
    if scales is not None:
        known = constant_of(scales)
        if known is not None:
            return [roi, op.constant([1, 1, 1, known[i]], known.dtype)]
        one = op.constant([1, 1, 1], "float32")
        return [roi, op("Concat", one, op("Slice", scales, op.ints([i]), op.ints([i + 1])), axis=0)]
    after = size(op, node.outputs[0], axis)
    return [roi, None, joined(op, [as_vector(op, length), 1, 1, after])]


def _along(op: Builder, g: ir.Value, matrix: ir.Value, axis: int, rank: int) -> ir.Value:
    """Apply `matrix` to one axis of `g`."""
    if axis == rank - 1:
        return op("MatMul", g, op("Transpose", matrix, perm=[1, 0]))
    if axis == rank - 2:
        return op("MatMul", matrix, g)
    perm = list(range(rank))
    perm[axis], perm[rank - 2] = perm[rank - 2], perm[axis]
    return op("Transpose", op("MatMul", matrix, op("Transpose", g, perm=perm)), perm=perm)


def _coordinates(node: ir.Node) -> str:
    return node.attributes.get_string("coordinate_transformation_mode", "half_pixel")


def _given(node: ir.Node, slot: int) -> ir.Value | None:
    """An optional operand; exporters also write an empty constant for one that is absent."""
    value = node.inputs[slot] if slot < len(node.inputs) else None
    known = constant_of(value)
    return None if known is not None and known.size == 0 else value
