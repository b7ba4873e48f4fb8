"""Overlapping blocks put together into an image: the gradient cuts the image into the same blocks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of, dims
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import reshape, size
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.gather import operand
from fluxpath.export.rules.movement import pad_axis


@rule("Col2Im", since=18)
def col2im(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    x, block = first(node), constant_of(operand(node, 2))
    image = _image(node)
    if block is None:
        raise ValueError(f"needs a constant block shape, and '{operand(node, 2).name}' is computed")
    n = len(image)
    places = block_positions(
        image,
        [int(b) for b in block],
        list(node.attributes.get_ints("strides", [1] * n)),
        list(node.attributes.get_ints("dilations", [1] * n)),
        list(node.attributes.get_ints("pads", [0] * 2 * n)),
    )
    pixels = math.prod(image)
    flat = reshape(op, g, [size(op, x, 0), size(op, node.outputs[0], 1), pixels])
    if (places == pixels).any():
        flat = pad_axis(op, flat, 0, 1, 2, 3)
    cut = op("Gather", flat, op.constant(places.reshape(-1), np.int64), axis=2)
    return reshape(op, cut, [size(op, x, 0), size(op, x, 1), places.shape[1]])


def _image(node: ir.Node) -> list[int]:
    """The image's spatial sizes: a constant operand, or what shape inference made of it."""
    given = constant_of(operand(node, 1))
    sizes = given.tolist() if given is not None else dims(node.outputs[0])[2:]
    known = [int(s) for s in sizes if isinstance(s, int)]
    if len(known) != len(sizes):
        raise ValueError(f"needs a fixed image shape, and '{operand(node, 1).name}' is computed")
    return known


def block_positions(
    image: list[int], block: list[int], strides: list[int], dilations: list[int], pads: list[int]
) -> npt.NDArray[np.int64]:
    """[elements of a block, blocks]: the flat position of each in the image; the image's size if outside."""
    n, pixels = len(image), math.prod(image)
    flat, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for i, length in enumerate(image):
        reach = (block[i] - 1) * dilations[i] + 1
        steps = (length + pads[i] + pads[n + i] - reach) // strides[i] + 1
        taps = np.arange(block[i])[:, None] * dilations[i] + np.arange(steps) * strides[i] - pads[i]
        flat = _outer(flat * length, taps, np.add)
        inside = _outer(inside, (taps >= 0) & (taps < length), np.logical_and)
    return np.where(inside, flat, pixels)


def _outer(
    a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], combine: np.ufunc
) -> npt.NDArray[np.int64]:
    """Combine two [elements, blocks] arrays of different axes into one of both, the last axis fastest."""
    both = combine(a[:, None, :, None], b[None, :, None, :])
    return np.asarray(both).reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])
