"""The memory that an evaluation's values take in ONNX Runtime on the CPU, by their live ranges."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.accounting.arena import Arena, Chunk
from fluxpath.export.accounting.operators import FREE
from fluxpath.export.accounting.values import bytes_of, sizes_of

IN_PLACE = {
    "Abs", "Add", "Cast", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish",
    "LeakyRelu", "Log", "Mul", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin", "Softplus", "Softsign",
    "Sqrt", "Sub", "Sum", "Tanh",
}  # fmt: skip
"""These write over an input of the result's size and type that nothing reads afterwards."""


@dataclass(frozen=True)
class Held:
    """Of one evaluation, weights and the caller's inputs and outputs not counted.

    live: the largest sum of bytes of values alive at the same time. arena: the bytes that ONNX Runtime's
    arena touches for them, with what lies idle between them. incomplete: whether a size was unknown.
    """

    live: int
    arena: int
    incomplete: bool


def held(graph: ir.Graph, constant: set[ir.Value]) -> Held:
    """What the values of `graph` take, shapes known; `constant` ones are computed before."""
    nodes = in_order([n for n in graph if not all(v in constant for v in n.outputs)])
    run = _Run(graph, constant, nodes)
    for node in nodes:
        run.step(node)
    return Held(run.most, run.arena.touched, run.incomplete)


def in_order(nodes: list[ir.Node]) -> list[ir.Node]:
    """`nodes` in the order in which ONNX Runtime runs them by priority, as fluxpath has it do: of those
    that can run, shapes first, then the one that stands first in the file."""
    place = {node: i for i, node in enumerate(nodes)}
    before = {n: {p for v in n.inputs if v is not None and (p := v.producer()) in place} for n in nodes}
    ready = [_priority(n, place[n]) for n in nodes if not before[n]]
    heapq.heapify(ready)
    order = []
    while ready:
        node = nodes[heapq.heappop(ready)[1]]
        order.append(node)
        for reader in {use.node for value in node.outputs for use in value.uses()} & before.keys():
            before[reader].discard(node)
            if not before[reader]:
                heapq.heappush(ready, _priority(reader, place[reader]))
    return order


def _priority(node: ir.Node, place: int) -> tuple[bool, int]:
    return node.op_type not in ("Shape", "Size"), place


class _Run:
    """One evaluation: which buffers its values share, and what the arena makes of it."""

    def __init__(self, graph: ir.Graph, constant: set[ir.Value], nodes: list[ir.Node]) -> None:
        self.arena, self.incomplete, self.most = Arena(), False, 0
        self._constant, self._given = constant, {*graph.inputs, *graph.outputs}
        self._left = Counter(v for node in nodes for v in node.inputs if v is not None)
        self._buffers: dict[ir.Value, _Buffer] = {}
        self._live = 0

    def step(self, node: ir.Node) -> None:
        """Run a node: memory for its results and its own work; then what nobody reads any more is free."""
        for value in node.outputs:
            if value not in self._given and (self._left[value] or value is node.outputs[0]):
                self._place(node, value)
        work = _workspace(node)
        if work:
            self.most = max(self.most, self._live + work)
            self.arena.give(self.arena.take(work))
        for read in node.inputs:
            if read is not None:
                self._read(read)
        for value in node.outputs:
            if not self._left[value] and value in self._buffers:
                self._leave(self._buffers.pop(value))

    def _place(self, node: ir.Node, value: ir.Value) -> None:
        size = bytes_of(value)
        self.incomplete |= size is None
        buffer = self._shared(node, value)
        if buffer is None:
            buffer = _Buffer(size or 0, self.arena.take(size or 0))
            self._live += buffer.size
            self.most = max(self.most, self._live)
        buffer.values += 1
        self._buffers[value] = buffer

    def _shared(self, node: ir.Node, result: ir.Value) -> _Buffer | None:
        """The buffer of an input that the result takes over, if there is one."""
        given = [v for v in node.inputs if v is not None and v in self._buffers]
        if node.op_type in FREE:
            moves = node.op_type in ("Shape", "Size") or not given or given[0] is not node.inputs[0]
            return None if moves else self._buffers[given[0]]
        for value in given if node.op_type in IN_PLACE else ():
            buffer = self._buffers[value]
            alike = value.dtype == result.dtype and sizes_of(value) == sizes_of(result)
            if alike and self._left[value] == 1 and buffer.values == 1:
                return buffer
        return None

    def _read(self, value: ir.Value) -> None:
        self._left[value] -= 1
        if not self._left[value] and value in self._buffers:
            self._leave(self._buffers.pop(value))

    def _leave(self, buffer: _Buffer) -> None:
        buffer.values -= 1
        if not buffer.values:
            self._live -= buffer.size
            self.arena.give(buffer.chunk)


class _Buffer:
    """Memory that one value or several in turn hold."""

    def __init__(self, size: int, chunk: Chunk) -> None:
        self.size, self.chunk, self.values = size, chunk, 0


def _workspace(node: ir.Node) -> int:
    """Bytes that a node works in besides: a transposed convolution's columns, of one image."""
    first = node.inputs[0] if node.op_type == "ConvTranspose" else None
    x, weights = sizes_of(first), sizes_of(node.inputs[1]) if first is not None else None
    if first is None or x is None or weights is None or first.dtype is None:
        return 0
    return math.ceil(math.prod(weights[1:]) * math.prod(x[2:]) * first.dtype.itemsize)
