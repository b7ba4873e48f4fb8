"""What one gradient evaluation costs: arithmetic and activation memory, estimated from shapes."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from fluxpath.errors import ArtifactError
from fluxpath.export.builder import dims
from fluxpath.export.reading.inference import infer_shapes

OPEN_SIZE = 32
"""What stands in for a size that the model leaves open, other than the batch."""


@dataclass(frozen=True)
class Cost:
    """Of one evaluation of one sample.

    flops: floating-point operations of convolutions and matrix products, a multiply and an add counted as
    two. activation_bytes: the most memory that values alive at the same time take, weights not counted.
    operators: how often each operator occurs. incomplete: whether a shape was unknown, so that the others
    are lower bounds.
    """

    flops: int
    activation_bytes: int
    operators: Counter[str]
    incomplete: bool


def estimate(path: str | os.PathLike[str]) -> Cost:
    """The cost of the gradient graph in the file `path`; ArtifactError where it is no ONNX file."""
    try:
        proto = onnx.load(Path(path), load_external_data=False)
    except Exception as error:  # protobuf's and the operating system's errors share no useful base
        raise ArtifactError(f"'{path}' is not an ONNX file that can be read: {error}") from error
    model = ir.from_proto(proto)
    for value in model.graph.inputs:
        sizes = list(value.shape) if value.shape is not None else []
        fixed = [d if isinstance(d, int) else OPEN_SIZE for d in sizes]
        value.shape = ir.Shape([1, *fixed[1:]])
    for value in model.graph.outputs:
        value.shape = None
    model = infer_shapes(model)
    flops = [_flops(node) for node in model.graph]
    peak, complete = _peak_memory(model.graph)
    return Cost(
        flops=sum(f for f in flops if f is not None),
        activation_bytes=peak,
        operators=Counter(node.op_type for node in model.graph),
        incomplete=None in flops or not complete,
    )


def _sizes(value: ir.Value | None) -> list[int] | None:
    try:
        known = dims(value) if value is not None else []
    except ValueError:
        return None
    sizes = [d for d in known if isinstance(d, int)]
    return sizes if len(sizes) == len(known) else None


def _flops(node: ir.Node) -> int | None:
    """Of one node; None where a shape is unknown. Operators that move or map elements count as nothing."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    shapes = [_sizes(v) for v in (*node.inputs[:2], node.outputs[0])]
    first, second, out = shapes
    if first is None or second is None or out is None:
        return None
    if node.op_type == "Conv":
        return 2 * math.prod(out) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(second[1:])
    if node.op_type == "Gemm":
        inner = first[0] if node.attributes.get_int("transA", 0) else first[-1]
        return 2 * math.prod(out) * inner
    return 2 * math.prod(out) * first[-1]


def _peak_memory(graph: ir.Graph) -> tuple[int, bool]:
    """The largest sum of live values in the graph's order, in bytes, and whether all shapes were known."""
    left = Counter(v for node in graph for v in node.inputs if v is not None)
    for output in graph.outputs:
        left[output] += 1
    alive = sum(_bytes(v) or 0 for v in graph.inputs)
    peak, complete = alive, True
    # Rearranged weights are constants to a runtime, folded once at load.
    constant = set(graph.initializers.values())
    for node in graph:
        if node.inputs and all(v is None or v in constant for v in node.inputs):
            constant.update(node.outputs)
            continue
        for value in node.outputs:
            size = _bytes(value)
            complete = complete and (size is not None or not left[value])
            alive += size or 0
        peak = max(peak, alive)
        for read in node.inputs:
            if read is None or read in constant:
                continue
            left[read] -= 1
            if left[read] == 0:
                alive -= _bytes(read) or 0
    return peak, complete


def _bytes(value: ir.Value) -> int | None:
    sizes = _sizes(value)
    if sizes is None or value.dtype is None:
        return None
    return math.ceil(math.prod(sizes) * value.dtype.itemsize)
