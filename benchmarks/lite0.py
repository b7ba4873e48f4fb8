"""EfficientNet-Lite0 as an eager torch module, node by node of its forward ONNX file; see `load`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.report import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "imagenet"
"""Where the trained network and the photos lie, beside the project."""


class Lite0(nn.Module):
    """Photos in [0, 1], [n, 3, 224, 224], to logits [n, 1000]; batch normalisations are folded already."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        self._name = graph.input[0].name
        self._output = graph.output[0].name
        self._known: dict[str, Tensor] = {}
        for tensor in graph.initializer:
            self._known[tensor.name] = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        self._nodes = [
            (node.op_type, list(node.input), node.output[0], _attributes(node)) for node in graph.node
        ]

    def forward(self, image: Tensor) -> Tensor:
        """The logits, [n, 1000]."""
        values = {**self._known, self._name: image}
        for op, names, output, given in self._nodes:
            values[output] = _run(op, [values[name] for name in names], given)
        return values[self._output]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _run(op: str, x: list[Tensor], given: dict[str, Any]) -> Tensor:
    if op == "Conv":
        top, left, bottom, right = given["pads"]
        padded = functional.pad(x[0], (left, right, top, bottom)) if (top, left) != (bottom, right) else x[0]
        padding = (top, left) if (top, left) == (bottom, right) else 0
        return functional.conv2d(padded, x[1], x[2], given["strides"], padding, 1, given["group"])
    if op == "Clip":
        return x[0].clamp(x[1].item(), x[2].item())
    if op == "ReduceMean":
        return x[0].mean(dim=x[1].tolist(), keepdim=True)
    if op == "Reshape":
        return x[0].flatten(1)
    if op == "Gemm":
        return functional.linear(x[0], x[1], x[2])
    return {"Add": torch.add, "Sub": torch.sub, "Div": torch.div}[op](x[0], x[1])


def load(path: Path = FOLDER / "efficientnet_lite0.onnx") -> Lite0:
    """The module of the forward ONNX file, ready to predict."""
    return Lite0(onnx.load(path).graph).eval()
