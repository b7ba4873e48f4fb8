"""What one evaluation of a gradient graph costs, node by node, estimated from shapes."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from fluxpath.artifact import read_manifest
from fluxpath.errors import ArtifactError
from fluxpath.export.accounting.memory import Held, held
from fluxpath.export.accounting.operators import PRODUCTS, UNCOUNTED, einsum_flops, flops, traffic
from fluxpath.export.accounting.values import all_bytes, bytes_of, constants, sizes_of
from fluxpath.export.reading.inference import infer_shapes

OPEN_SIZE = 32
"""What stands in for a size that the model leaves open, other than the batch."""


@dataclass(frozen=True)
class NodeCost:
    """One node of the file, of one evaluation.

    backward: whether it belongs to the objective or the backward pass, not to the model. flops: of
    convolutions and matrix products, a multiply and an add counted as two. read, written: bytes, weights
    among them. A node that a runtime computes once as it opens the file costs nothing. None where a shape is
    unknown, or how much an operator computes.
    """

    name: str
    op_type: str
    backward: bool
    flops: int | None
    read: int | None
    written: int | None

    @property
    def bytes(self) -> int:
        """Read and written together; 0 where unknown."""
        return (self.read or 0) + (self.written or 0)


@dataclass(frozen=True)
class Cost:
    """One evaluation of `batch` samples.

    nodes: in the file's order. operators: how often each occurs. weights: bytes of the graph's constants.
    memory: what its values hold at the same time. incomplete: whether a figure of a node was unknown, so
    that the sums are lower bounds.
    """

    batch: int
    nodes: tuple[NodeCost, ...]
    operators: Counter[str]
    weights: int
    memory: Held
    incomplete: bool

    @property
    def flops(self) -> int:
        """All nodes' together."""
        return sum(node.flops or 0 for node in self.nodes)

    def by_kind(self, backward: bool) -> list[NodeCost]:
        """The forward or the backward nodes, one entry per operator: its sums, the dearest in bytes first."""
        kinds: dict[str, list[NodeCost]] = {}
        for node in self.nodes:
            if node.backward == backward:
                kinds.setdefault(node.op_type, []).append(node)
        added = [_added(kind, nodes) for kind, nodes in kinds.items()]
        return sorted(added, key=lambda n: (-(n.flops or 0), -n.bytes, n.op_type))


def read(path: str | os.PathLike[str]) -> tuple[ir.Model, str]:
    """The gradient graph in the file `path`, and the name of its logits.

    ArtifactError where it is no ONNX gradient graph.
    """
    manifest = read_manifest(path, whole_method=None)
    try:
        proto = onnx.load(Path(path), load_external_data=False)
    except Exception as error:  # protobuf's and the operating system's errors share no useful base
        raise ArtifactError(f"'{path}' is not an ONNX file that can be read: {error}") from error
    return ir.from_proto(proto), manifest.logits


def estimate(path: str | os.PathLike[str], batch: int = 1) -> Cost:
    """The cost of evaluating `batch` samples by the gradient graph in the file `path`.

    ArtifactError where it is no ONNX gradient graph. A size that the model leaves open counts as OPEN_SIZE.
    """
    return of_model(*read(path), batch)


def of_model(model: ir.Model, logits: str, batch: int) -> Cost:
    """The same of a gradient graph in memory; its values get their shapes for that batch in place."""
    for value in model.graph.inputs:
        sizes = list(value.shape) if value.shape is not None else []
        fixed = [d if isinstance(d, int) else OPEN_SIZE for d in sizes]
        value.shape = ir.Shape([batch, *fixed[1:]])
    for value in model.graph.outputs:
        value.shape = None
    graph = infer_shapes(model).graph
    forward = _needed_by(graph, logits)
    constant = constants(graph)
    costs = [_cost(node, node not in forward, constant) for node in graph]
    memory = held(graph, constant)
    unknown = any(None in (c.flops, c.read, c.written) for c in costs)
    return Cost(
        batch=batch,
        nodes=tuple(costs),
        operators=Counter(node.op_type for node in graph),
        weights=sum(bytes_of(v) or 0 for v in graph.initializers.values()),
        memory=memory,
        incomplete=unknown or memory.incomplete,
    )


def _needed_by(graph: ir.Graph, logits: str) -> set[ir.Node]:
    """The nodes that the logits are computed by: the model itself."""
    needed, nodes = {logits}, set[ir.Node]()
    for node in reversed(graph):
        if any(str(v.name) in needed for v in node.outputs):
            nodes.add(node)
            needed.update(str(v.name) for v in node.inputs if v is not None)
    return nodes


def _cost(node: ir.Node, backward: bool, constant: set[ir.Value]) -> NodeCost:
    name = str(node.name or node.outputs[0].name)
    if all(v in constant for v in node.outputs):
        return NodeCost(name, node.op_type, backward, 0, 0, 0)
    read, written = (
        all_bytes(node.inputs),
        all_bytes(v for v in node.outputs if v.uses() or v.is_graph_output()),
    )
    moved: tuple[int | None, int | None] = (None, None)
    if read is not None and written is not None:
        moved = traffic(node.op_type, read, sum(written))
    return NodeCost(name, node.op_type, backward, _flops(node), *moved)


def _flops(node: ir.Node) -> int | None:
    if node.domain not in ("", "ai.onnx") or node.op_type in UNCOUNTED:
        return None
    if node.op_type == "Einsum":
        shapes = [sizes_of(v) for v in node.inputs]
        known = [sizes for sizes in shapes if sizes is not None]
        equation = node.attributes.get_string("equation", "")
        return einsum_flops(equation, known) if len(known) == len(shapes) else None
    if node.op_type not in PRODUCTS:
        return 0
    first, second, out = (sizes_of(v) for v in (*node.inputs[:2], node.outputs[0]))
    if first is None or second is None or out is None:
        return None
    return flops(node.op_type, first, second, out, bool(node.attributes.get_int("transA", 0)))


def _added(kind: str, nodes: list[NodeCost]) -> NodeCost:
    return NodeCost(
        name=f"{len(nodes)}",
        op_type=kind,
        backward=nodes[0].backward,
        flops=sum(n.flops or 0 for n in nodes),
        read=sum(n.read or 0 for n in nodes),
        written=sum(n.written or 0 for n in nodes),
    )
