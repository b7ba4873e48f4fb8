"""Tiles, blocks, triangles and reversed sequences: rearrangements with an adjoint of their own."""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.builder import Builder, constant_of
from fluxpath.export.rules._registry import Gradients, rule
from fluxpath.export.rules._shape import Size, product, reshape, size, sizes
from fluxpath.export.rules.activation import first
from fluxpath.export.rules.gather import operand


@rule("Tile", since=6)
def tile(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Each axis of g is (repeats, size): sum over the repeats.
    x, repeats = first(node), operand(node, 1)
    lengths, known = sizes(op, x), constant_of(repeats)
    if known is not None:
        counts: list[Size] = [int(r) for r in known]
    else:
        counts = [op("Slice", repeats, op.ints([i]), op.ints([i + 1])) for i in range(len(lengths))]
    tiled = [i for i, count in enumerate(counts) if count != 1]
    parts: list[Size] = []
    for i, (count, length) in enumerate(zip(counts, lengths, strict=True)):
        parts += [count, length] if i in tiled else [length]
    if not tiled:
        return g
    # Of two adjacent axes the first is the repeat; every one before it moved it on by one.
    axes = [i + before for before, i in enumerate(tiled)]
    return op("ReduceSum", reshape(op, g, parts), op.ints(axes), keepdims=0)


@rule("DepthToSpace", since=11)
def depth_to_space(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return _to_depth(op, first(node), g, _block(node), node.attributes.get_string("mode", "DCR"))


@rule("SpaceToDepth")
def space_to_depth(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    mode = node.attributes.get_string("mode", "DCR")
    return op("DepthToSpace", g, blocksize=_block(node), mode=mode)


def _block(node: ir.Node) -> int:
    return node.attributes.get_int("blocksize", 1)


def _to_depth(op: Builder, x: ir.Value, g: ir.Value, block: int, mode: str) -> ir.Value:
    """Gather the blocks of `g` in the channels of `x`; SpaceToDepth has the mode CRD from opset 28 only."""
    if mode == "DCR":
        return op("SpaceToDepth", g, blocksize=block)
    channels = size(op, x, 1)
    if isinstance(channels, int):
        each: Size = channels // block**2
    else:
        each = op("Div", channels, op.ints([block**2]))
    batch, height, width = sizes(op, x, (0, 2, 3))
    cells = reshape(op, g, [batch, each, height, block, width, block])
    cells = op("Transpose", cells, perm=[0, 1, 3, 5, 2, 4])
    return reshape(op, cells, [batch, product(op, [each, block, block]), height, width])


@rule("Trilu", since=14)
def trilu(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    return op("Trilu", g, *node.inputs[1:2], upper=node.attributes.get_int("upper", 1))


@rule("ReverseSequence", since=10)
def reverse_sequence(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # Reversing twice is the identity, and a permutation's adjoint is its inverse.
    time, batch = node.attributes.get_int("time_axis", 0), node.attributes.get_int("batch_axis", 1)
    return op("ReverseSequence", g, operand(node, 1), time_axis=time, batch_axis=batch)


@rule("MaxUnpool", since=9)
def max_unpool(op: Builder, node: ir.Node, g: ir.Value) -> Gradients:
    # The indices are flat positions in the output.
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        raise ValueError("has an output_shape, with which runtimes disagree on the meaning of the indices")
    return op("Gather", op("Reshape", g, op.ints([-1])), operand(node, 1), axis=0)
