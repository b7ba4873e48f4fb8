"""Fourier transforms: linear maps, whose adjoint is the transform back without its normalisation."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._scatter import fold
from fluxpath.export.rules._shape import reshape, size
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.movement import pad_axis


class _Transform:
    """The operator DFT along one axis; from opset 20 on the axis is an operand."""

    def __init__(self, axis: int, opset: int) -> None:
        self.axis, self.opset = axis, opset

    def __call__(self, op: Builder, value: ir.Value, inverse: int = 0, onesided: int = 0) -> ir.Value:
        if self.opset < 20:
            return op("DFT", value, axis=self.axis, inverse=inverse, onesided=onesided)
        return op("DFT", value, None, op.ints(self.axis), inverse=inverse, onesided=onesided)


@rule("DFT", since=17)
def dft_17(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return _dft(op, node, g, node.attributes.get_int("axis", 1), 17)


@rule("DFT", since=20)
def dft_20(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    given = node.inputs[2] if len(node.inputs) > 2 else None
    axis = constant_of(given)
    if given is not None and axis is None:
        raise ValueError(f"needs a constant axis, and '{given.name}' is computed")
    return _dft(op, node, g, -2 if axis is None else int(axis), 20)


def _dft(op: Builder, node: ir.Node, g: ir.Value, axis: int, opset: int) -> ir.Value:
    x, y = first(node), node.outputs[0]
    rank = len(dims(x))
    axis %= rank
    transform = _Transform(axis, opset)
    inverse, onesided = (node.attributes.get_int(name, 0) for name in ("inverse", "onesided"))
    before, length = _length(x, axis), _length(y, axis)
    if inverse and onesided:
        spectrum = transform(op, g, onesided=1)
        count = length // 2 + 1
        weight = _like(op, _shares(length).reshape([count if i == axis else 1 for i in range(rank)]), g)
        return _resized(op, op("Mul", spectrum, weight), axis, count, before, rank)
    if onesided:
        given = node.inputs[1] if len(node.inputs) > 1 else None
        known = constant_of(given)
        if given is not None and known is None:
            raise ValueError(f"needs a constant length, and '{given.name}' is computed")
        bins, length = length, before if known is None else int(known)
        g = pad_axis(op, g, 0, length - bins, axis, rank)
    back = transform(op, g, inverse=1 - inverse)
    back = op("Mul", back, op.scalar(1 / length if inverse else float(length), g))
    return _resized(op, _of_kind(op, back, x), axis, length, before, rank)


def _shares(length: int) -> np.ndarray:
    """How much of each bin goes into a real signal: all but the ends stand for their mirror images too."""
    result = np.full(length // 2 + 1, 2.0 / length)
    result[0] = 1.0 / length
    if length % 2 == 0:
        result[-1] = 1.0 / length
    return result


def _length(value: ir.Value, axis: int) -> int:
    length = dims(value)[axis]
    if not isinstance(length, int):
        raise ValueError(f"needs a fixed length, and axis {axis} of '{value.name}' is {length}")
    return length


def _like(op: Builder, array: np.ndarray, g: ir.Value) -> ir.Value:
    assert g.dtype is not None
    return op.constant(array, g.dtype.numpy())


def _of_kind(op: Builder, value: ir.Value, x: ir.Value) -> ir.Value:
    """The real part where `x` is real; the last axis holds real and imaginary parts."""
    parts = dims(x)[-1]
    if parts not in (1, 2):
        raise ValueError(f"needs to know whether '{x.name}' is complex, and its shape is {dims(x)}")
    return value if parts == 2 else op("Slice", value, op.ints([0]), op.ints([1]), op.ints([-1]))


def _resized(op: Builder, value: ir.Value, axis: int, length: int, wanted: int, rank: int) -> ir.Value:
    """Undo the cropping or zero padding of an axis to `length`."""
    if wanted <= length:
        return (
            value
            if wanted == length
            else op("Slice", value, op.ints([0]), op.ints([wanted]), op.ints([axis]))
        )
    return pad_axis(op, value, 0, wanted - length, axis, rank)


@rule("STFT", since=17)
def stft_17(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return _stft(op, node, g, 17)


@rule("STFT", since=20)
def stft_20(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return _stft(op, node, g, 20)


def _stft(op: Builder, node: ir.Node, g: ir.Value, opset: int) -> ir.Value:
    """Transform each frame back, weight it by the window, add the frames up where they were cut out."""
    x, y = first(node), node.outputs[0]
    _, step, window, frame = [*node.inputs, None, None][:4]
    stride = constant_of(step)
    if stride is None:
        raise ValueError("needs a constant frame step, and its is computed")
    signal, frames, bins = _length(x, 1), _length(y, 1), _length(y, 2)
    known = constant_of(frame)
    length = int(known) if known is not None else signal if window is None else _length(window, 0)
    spectra = pad_axis(op, g, 0, length - bins, 2, 4)
    pieces = op("Mul", _Transform(2, opset)(op, spectra, inverse=1), op.scalar(float(length), g))
    pieces = _of_kind(op, pieces, x)
    if window is not None:
        pieces = op("Mul", pieces, op("Reshape", window, op.ints([-1, 1])))
    flat = reshape(op, pieces, [size(op, x, 0), frames * length, size(op, x, 2)])
    source = (np.arange(frames)[:, None] * int(stride) + np.arange(length)).reshape(-1)
    summed = fold(op, flat, source, 1, signal, 3)
    assert summed is not None, "frames overlap evenly"
    return summed
