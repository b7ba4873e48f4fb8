"""Sampling an image at computed points: gradients along the image and along the points.

A sample is a sum over taps, one combination of a tap of each axis, of a weight by a pixel. Its derivative
by the pixel is the weight, by a coordinate the weight's slope.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import narrowed, scatter_elements, widened
from fluxpath.export.rules._shape import Size, as_vector, joined, shape_value, size, sizes
from fluxpath.export.rules.activation import compare, first, where
from fluxpath.export.rules.gather import operand

_A = -0.75
_KERNELS = {
    "nearest": (0, [[1.0]]),
    "linear": (0, [[1.0, -1.0], [0.0, 1.0]]),
    "cubic": (
        -1,
        [
            [0.0, _A, -2 * _A, _A],
            [1.0, 0.0, -(_A + 3), _A + 2],
            [0.0, -_A, 2 * _A + 3, -(_A + 2)],
            [0.0, 0.0, _A, -_A],
        ],
    ),
}
"""Where the first tap lies, counted from the floor of the coordinate (nearest: from its rounding), and
the weight of each tap as a polynomial in the distance from there, constant term first."""


@dataclass(frozen=True)
class Tap:
    """One pixel position along one axis for every point: index int64, weight and slope, each [n, points]."""

    index: ir.Value
    weight: ir.Value
    slope: ir.Value


@rule("GridSample", since=16)
def grid_sample(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, grid = first(node), operand(node, 1)
    image, wide = widened(op, x), widened(op, g)
    points = _points(op, grid, wide)
    axes = [_Axis(op, node, size(op, x, 2 + a), wide) for a in range(len(points))]
    # The grid's last axis holds the coordinates in reverse order: x, the place along the last axis, first.
    padded = [axis.padded(points[-1 - a]) for a, axis in enumerate(axes)]
    taps = [axis.taps(place) for axis, (place, _) in zip(axes, padded, strict=True)]
    flat = op.ints([0, 0, -1])
    pixels, given = op("Reshape", image, flat), op("Reshape", wide, flat)
    along_x = _along_image(op, pixels, given, axes, taps)
    slopes = _along_points(op, pixels, given, axes, taps)
    chained = [
        op("Mul", op("Mul", s, factor), axis.pixels_per_unit())
        for s, (_, factor), axis in zip(slopes, padded, axes, strict=True)
    ]
    columns = [op("Unsqueeze", c, op.ints([-1])) for c in reversed(chained)]
    along_grid = op("Reshape", op("Concat", *columns, axis=-1), shape_value(op, grid))
    if grid.dtype is not None and grid.dtype != along_grid.dtype:
        along_grid = op("Cast", along_grid, to=int(grid.dtype), dtype=grid.dtype)
    return narrowed(op, op("Reshape", along_x, shape_value(op, x)), g), along_grid


def _points(op: Builder, grid: ir.Value, like: ir.Value) -> list[ir.Value]:
    """The coordinates [n, points] of a grid [n, ..., axes], one per axis, of the type of `like`."""
    if grid.dtype != like.dtype and like.dtype is not None:
        grid = op("Cast", grid, to=int(like.dtype), dtype=like.dtype)
    count = len(dims(grid)) - 2
    flat = op.ints([0, -1])
    return [op("Reshape", op("Gather", grid, op.ints(a), axis=-1), flat) for a in range(count)]


class _Axis:
    """One spatial axis of the image: from normalised coordinates to pixels and their weights."""

    def __init__(self, op: Builder, node: ir.Node, length: Size, like: ir.Value) -> None:
        self.op, self.length, self.like = op, length, like
        mode = node.attributes.get_string("mode", "linear")
        self.mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
        self.padding = node.attributes.get_string("padding_mode", "zeros")
        self.align = bool(node.attributes.get_int("align_corners", 0))
        if isinstance(length, int):
            self.size = op.scalar(float(length), like)
        else:
            assert like.dtype is not None
            self.size = op("Cast", op("Squeeze", length), to=int(like.dtype), dtype=like.dtype)
        self.last = op("Sub", self.size, self._number(1.0))

    def _number(self, number: float) -> ir.Value:
        return self.op.scalar(number, self.like)

    def pixels_per_unit(self) -> ir.Value:
        """By how many pixels a point moves when its normalised coordinate grows by one."""
        return self.op("Mul", self.last if self.align else self.size, self._number(0.5))

    def padded(self, point: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The point in pixels, brought inside as the padding mode has it, and the slope of that."""
        op = self.op
        place = op("Mul", op("Add", point, self._number(1.0)), self.pixels_per_unit())
        if not self.align:
            place = op("Sub", place, self._number(0.5))
        if self.mode == "nearest":
            place = op("Round", place)
        one, zero = self._number(1.0), self._number(0.0)
        if self.mode == "cubic":
            # Only the pixels that it reads are brought inside.
            return place, one
        if self.padding == "border":
            inside = op(
                "And",
                compare(op, "Greater", place, zero),
                compare(op, "Less", place, self.last),
                dtype=ir.DataType.BOOL,
            )
            return op("Clip", place, zero, self.last), where(op, inside, one, zero)
        if self.padding == "reflection":
            return self._reflected(place)
        return place, one

    def _reflected(self, place: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Mirror at the outer pixels' centres (align_corners) or edges until it lies between them."""
        op, one, two = self.op, self._number(1.0), self._number(2.0)
        low = self._number(0.0 if self.align else -0.5)
        span = op("Max", self.last if self.align else self.size, one)
        ahead = op("Sub", place, low)
        distance = op("Abs", ahead)
        flips = op("Floor", op("Div", distance, span))
        rest = op("Sub", distance, op("Mul", flips, span))
        odd = op("Sub", flips, op("Mul", two, op("Floor", op("Div", flips, two))))
        mirrored = op("Add", rest, op("Mul", odd, op("Sub", span, op("Mul", two, rest))))
        slope = op("Sub", one, op("Mul", two, odd))
        behind = compare(op, "Less", ahead, self._number(0.0))
        return op("Add", low, mirrored), where(op, behind, op("Neg", slope), slope)

    def taps(self, place: ir.Value) -> list[Tap]:
        """The pixels that a sample at `place` reads."""
        op, zero = self.op, self._number(0.0)
        offset, kernel = _KERNELS[self.mode]
        base = op("Round" if self.mode == "nearest" else "Floor", place)
        t = op("Sub", place, base)
        result = []
        for k, polynomial in enumerate(kernel):
            pixel = op("Add", base, self._number(float(offset + k)))
            weight = self._polynomial(polynomial, t)
            slope = self._polynomial(np.polynomial.polynomial.polyder(polynomial).tolist(), t)
            if self.padding == "zeros":
                above = compare(op, "GreaterOrEqual", pixel, zero)
                inside = op("And", above, compare(op, "LessOrEqual", pixel, self.last))
                weight, slope = (where(op, inside, w, zero) for w in (weight, slope))
            elif self.padding == "reflection":
                pixel, _ = self._reflected(pixel)
            index = op("Clip", pixel, zero, self.last)
            index = op("Cast", index, to=int(ir.DataType.INT64), dtype=ir.DataType.INT64)
            result.append(Tap(index, weight, slope))
        return result

    def _polynomial(self, coefficients: list[float], t: ir.Value) -> ir.Value:
        result = self.op("Mul", t, self._number(0.0))
        for c in reversed(coefficients):
            result = self.op("Add", self.op("Mul", result, t), self._number(c))
        return result


def _flat_index(op: Builder, axes: list[_Axis], combination: tuple[Tap, ...], given: ir.Value) -> ir.Value:
    """The positions of one combination of taps in the flattened image, for every channel."""
    index = combination[0].index
    for axis, tap in zip(axes[1:], combination[1:], strict=True):
        index = op("Add", op("Mul", index, as_vector(op, axis.length)), tap.index)
    return op("Expand", op("Unsqueeze", index, op.ints([1])), shape_value(op, given))


def _product(op: Builder, factors: list[ir.Value]) -> ir.Value:
    result = factors[0]
    for factor in factors[1:]:
        result = op("Mul", result, factor)
    return result


def _along_image(
    op: Builder, pixels: ir.Value, given: ir.Value, axes: list[_Axis], taps: list[list[Tap]]
) -> ir.Value:
    """Every tap gives its pixel its weight's share of the gradient."""
    places, shares = [], []
    for combination in itertools.product(*taps):
        places.append(_flat_index(op, axes, combination, given))
        weight = _product(op, [tap.weight for tap in combination])
        shares.append(op("Mul", given, op("Unsqueeze", weight, op.ints([1]))))
    if len(places) == 1:
        return scatter_elements(op, shape_value(op, pixels), places[0], shares[0], 2)
    where_, what = op("Concat", *places, axis=2), op("Concat", *shares, axis=2)
    return scatter_elements(op, shape_value(op, pixels), where_, what, 2)


def _along_points(
    op: Builder, pixels: ir.Value, given: ir.Value, axes: list[_Axis], taps: list[list[Tap]]
) -> list[ir.Value]:
    """The derivative by the pixel coordinate of each axis [n, points]."""
    totals: list[ir.Value | None] = [None] * len(axes)
    for combination in itertools.product(*taps):
        read = op("GatherElements", pixels, _flat_index(op, axes, combination, given), axis=2)
        carried = op("ReduceSum", op("Mul", given, read), op.ints([1]), keepdims=0)
        for a in range(len(axes)):
            factors = [tap.slope if b == a else tap.weight for b, tap in enumerate(combination)]
            term = op("Mul", carried, _product(op, factors))
            total = totals[a]
            totals[a] = term if total is None else op("Add", total, term)
    return [t for t in totals if t is not None]


@rule("AffineGrid", since=20)
def affine_grid(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Row by row the grid is theta times (x, y[, z], 1), and for theta = (identity, 0) it is (x, y[, z]).
    theta, target = first(node), operand(node, 1)
    assert theta.dtype is not None
    rank = dims(theta)[1]
    if not isinstance(rank, int):
        raise ValueError(f"needs a fixed number of axes, and theta '{theta.name}' has {dims(theta)}")
    alone = op("Concat", op.ints([1]), op("Slice", target, op.ints([1]), op.ints([2 + rank])), axis=0)
    identity = op.constant(np.eye(rank, rank + 1)[None], theta.dtype.numpy())
    plain = op("AffineGrid", identity, alone, align_corners=node.attributes.get_int("align_corners", 0))
    plain = op("Reshape", plain, op.ints([-1, rank]))
    points = op("Concat", plain, op("Expand", op.scalar(1.0, plain), _column(op, plain)), axis=1)
    rows = op("Reshape", g, joined(op, [*sizes(op, theta, [0]), -1, rank]))
    return op("MatMul", op("Transpose", rows, perm=[0, 2, 1]), points)


def _column(op: Builder, rows: ir.Value) -> ir.Value:
    count = op("Shape", rows, start=0, end=1, dtype=ir.DataType.INT64)
    return op("Concat", count, op.ints([1]), axis=0)
