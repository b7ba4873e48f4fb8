"""Maps what a runtime measured of its nodes back to the model's operators and the rules that wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.export.accounting.operators import FREE, PRODUCTS
from fluxpath.export.accounting.rates import Rates
from fluxpath.export.accounting.values import bytes_of
from fluxpath.export.cost import Cost, NodeCost
from fluxpath.profile import NodeTime

MATRIX, COPY, NEITHER = "matrix rate", "copy rate", "neither"
"""What bounds a node: arithmetic, memory, or its overhead or a poor kernel."""

REACHED = 0.5
"""A node that reaches this share of a rate is bound by it."""

RUNTIME = "ONNX Runtime"
"""What wrote the nodes that are not in the file, as copies into and out of its blocked layout."""

_STEPS = 4
"""How far behind a fused node's name its product stands: a convolution, an addition and an activation."""


@dataclass(frozen=True)
class Explained:
    """A node that ran: what wrote it, what it costs, what bounds it.

    writer: "Conv" for the rule of Conv or for a Conv of the model, see `backward`; "sum" where gradients of
    several readers are added, "objective", or RUNTIME. backward is None for RUNTIME. flops: of the file's
    convolution or product that it stands for. share: of the time of all nodes.
    """

    time: NodeTime
    writer: str
    backward: bool | None
    flops: int
    bytes: int
    share: float
    bound: str


def explained(times: Sequence[NodeTime], graph: ir.Graph, cost: Cost, rates: Rates) -> list[Explained]:
    """All nodes that ran, the costliest first.

    graph: the file's, of which `cost` is, for the batch that was measured.
    """
    names = _by_name(graph)
    costs = dict(zip(graph, cost.nodes, strict=True))
    whole = sum(t.seconds for t in times) or 1.0
    found = [_explained(t, _of_file(t.name, names), costs, rates, whole) for t in times]
    return sorted(found, key=lambda e: -e.time.seconds)


def _by_name(graph: ir.Graph) -> dict[str, ir.Node]:
    """The nodes by their names and their results', after which ONNX Runtime names some of its own."""
    names = {str(v.name): node for node in graph for v in node.outputs}
    return {**names, **{str(node.name): node for node in graph if node.name}}


def _of_file(name: str, names: dict[str, ir.Node]) -> ir.Node | None:
    """The node of the file whose name is the longest beginning of `name`: fusions append to it."""
    while name:
        if name in names:
            return names[name]
        cut = max(name.rfind("/"), name.rfind("_"))
        name = name[: max(cut, 0)]
    return None


def _explained(
    time: NodeTime, node: ir.Node | None, costs: dict[ir.Node, NodeCost], rates: Rates, whole: float
) -> Explained:
    product = None if node is None else _product(time.op_type, node)
    flops = (costs[product].flops or 0) if product in costs else 0
    weights = max(time.weights, 0 if product is None else _constant_bytes(product))
    moved = 0 if time.op_type in FREE else time.read + time.written + weights
    backward = costs[node].backward if node is not None else None
    return Explained(
        time=time,
        writer=RUNTIME if node is None else writer_of(product or node, bool(backward)),
        backward=backward,
        flops=flops,
        bytes=moved,
        share=time.seconds / whole,
        bound=_bound(time.seconds, flops, moved, rates),
    )


def writer_of(node: ir.Node, backward: bool) -> str:
    """The rule or part that wrote a node of the backward pass, by its name; a node of the model: itself."""
    parts = str(node.name).split("/")
    if not backward:
        return node.op_type
    return parts[1] if parts[0] == "fluxpath" and len(parts) > 2 else "export"


def _product(op_type: str, node: ir.Node) -> ir.Node | None:
    """The product that a node of the runtime computes: the file's node, or one before it that it took in."""
    kind = op_type.removeprefix("Fused")
    return next((n for n in _before(node) if n.op_type == kind), None) if kind in PRODUCTS else None


def _before(node: ir.Node) -> Iterator[ir.Node]:
    layer = [node]
    for _ in range(_STEPS):
        yield from layer
        producers = [v.producer() for n in layer for v in n.inputs if v is not None]
        layer = [p for p in producers if p is not None]


def _constant_bytes(node: ir.Node) -> int:
    return sum(bytes_of(v) or 0 for v in node.inputs if v is not None and v.is_initializer())


def _bound(seconds: float, flops: int, moved: int, rates: Rates) -> str:
    product, copy = flops / rates.flops, moved / rates.copying(moved)
    if max(product, copy) < REACHED * seconds:
        return NEITHER
    return MATRIX if product > copy else COPY
