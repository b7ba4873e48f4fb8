"""What a half-precision gradient graph gives on a GPU, on any machine: float32 with every value rounded.

A CPU has few half-precision kernels: ONNX Runtime runs float16 in float32 there, leaves out most of the
rounding, and has nothing for bfloat16. Hardware that multiplies halves sums in float32 and rounds what it
writes, and so does a float32 graph in which every value is cast there and back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from fluxpath import archive
from fluxpath.errors import ArtifactError, ModelError
from fluxpath.export.artifact import read, write
from fluxpath.export.gradient_graph import differentiated
from fluxpath.export.passes.precision import PRECISIONS
from fluxpath.export.reading import load
from fluxpath.export.settings import settings_of
from fluxpath.export.verification.gradient import forward_part
from fluxpath.manifest import Manifest


def write_rounded(path: Path, out: Path, precision: str) -> Manifest:
    """Write to `out` what the float32 gradient graph in `path` would compute in `precision`.

    precision: "float16" or "bfloat16". Runtimes take casts there and back for superfluous: run `out` without
    graph optimizations. Raises ArtifactError where `path` is no intact ONNX gradient graph, ModelError where
    it is not in float32 or has no form in that precision.
    """
    if precision not in PRECISIONS or precision == "float32":
        halves = ", ".join(name for name in PRECISIONS if name != "float32")
        raise ModelError(f"there is no half precision '{precision}', there are {halves}")
    if path.suffix == archive.SUFFIX:
        raise ArtifactError(
            f"'{path}' is TorchScript, and only ONNX can be rounded: export the model as .onnx"
        )
    proto, manifest = read(path)
    if manifest.precision != "float32":
        raise ModelError(f"'{path}' computes in {manifest.precision} already, and must be a float32 graph")
    settings = settings_of(manifest, precision)
    forward = ir.to_proto(forward_part(ir.from_proto(proto), manifest))
    forward = load.converted(forward, str(path), settings.oldest_opset)
    half, described = differentiated(load.Source(forward, manifest.source), settings)
    described = replace(described, mean=manifest.mean, std=manifest.std, preprocessing=manifest.preprocessing)
    return write(rounded(half, PRECISIONS[precision]), described, out)


def rounded(proto: onnx.ModelProto, half: ir.DataType, weights_only: bool = False) -> onnx.ModelProto:
    """The graph in float32, with what every node gives (or the weights alone) rounded to `half`."""
    model = ir.from_proto(proto)
    for value in model.graph.initializers.values():
        if value.dtype == half and value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
            value.dtype = ir.DataType.FLOAT
    for node in list(model.graph):
        if node.op_type == "Cast" and node.attributes.get_int("to") == half:
            node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT))
        fill = node.attributes.get("value")
        if fill is not None and fill.type == ir.AttributeType.TENSOR and fill.as_tensor().dtype == half:
            wide = fill.as_tensor().numpy().astype(np.float32)
            node.attributes["value"] = ir.AttrTensor("value", ir.tensor(wide))
        for output in node.outputs:
            if output.dtype == half:
                output.dtype = ir.DataType.FLOAT
                if not weights_only:
                    _round(model.graph, node, output, half)
    return ir.to_proto(model)


def _round(graph: ir.Graph, node: ir.Node, value: ir.Value, half: ir.DataType) -> None:
    """Let the readers of `value` read it rounded."""
    readers, last = list(value.uses()), value
    for index, dtype in enumerate((half, ir.DataType.FLOAT)):
        cast = ir.Node("", "Cast", [last], [ir.AttrInt64("to", int(dtype))])
        last = cast.outputs[0]
        last.name, last.dtype = f"{value.name}/rounded{index}", dtype
        graph.insert_after(node, cast)
        node = cast
    for reader, slot in readers:
        reader.replace_input_with(slot, last)
