"""What half precision costs a gradient, and where: ResNet-20 on CIFAR-10 images, against its float32 graph.

    python -m benchmarks.precision [--model PATH] [--data PATH] [--images 100] [--out JSON]

Every value of the half-precision graph is computed by ONNX Runtime in float32 and then rounded, as hardware
does that multiplies halves and sums in float32. "weights" rounds the weights only. The same network with
Softplus in place of ReLU shows what is left without kinks. The numbers are the same on every run.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from benchmarks.report import environment, summary
from fluxpath.export.gradient_graph import differentiated
from fluxpath.export.passes.precision import BFLOAT16_OPSET, PRECISIONS
from fluxpath.export.reading import load
from fluxpath.export.rounding import rounded
from fluxpath.export.settings import Settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10"


def gradient_graph_of(proto: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The gradient graph of the model, not verified."""
    settings = Settings(precision=precision)
    return differentiated(load.Source(proto, ""), settings)[0]


def run(proto: onnx.ModelProto, images: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The gradient, one row an image, and which ReLUs let it through."""
    graph = onnx.ModelProto()
    graph.CopyFrom(proto)
    signs = [node.output[0] for node in graph.graph.node if node.op_type == "Relu"]
    for name in signs:
        graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Casts there and back would be taken out.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: images, "target": np.full(len(images), -1)}
    gradient, *masks = session.run(["gradient", *signs], feeds)
    flat = gradient.reshape(len(images), -1).astype(np.float64)
    return {"gradient": flat, "masks": np.concatenate([m.reshape(-1) > 0 for m in masks] or [[]])}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=DATA / "resnet20.onnx")
    parser.add_argument("--data", type=Path, default=DATA / "images.npz")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "precision.json")
    options = parser.parse_args()
    images = (np.load(options.data)["images"][: options.images] / 255).astype(np.float32)
    table = []
    for activation in ("Relu", "Softplus"):
        model = load.read(options.model, BFLOAT16_OPSET).proto
        for node in model.graph.node:
            node.op_type = activation if node.op_type == "Relu" else node.op_type
        exact = run(gradient_graph_of(model, "float32"), images)
        for precision in ("float16", "bfloat16"):
            half = gradient_graph_of(model, precision)
            for what in ("weights", "everything"):
                found = run(rounded(half, PRECISIONS[precision], what == "weights"), images)
                distance = np.linalg.norm(found["gradient"] - exact["gradient"], axis=1)
                row: dict[str, Any] = {"activation": activation, "precision": precision, "rounded": what}
                row["error"] = summary((distance / np.linalg.norm(exact["gradient"], axis=1)).tolist())
                row["relus_flipped"] = (
                    float((found["masks"] != exact["masks"]).mean()) if len(exact["masks"]) else None
                )
                table.append(row)
                print(activation, precision, what, f"{row['error']['median']:.4f}", row["relus_flipped"])
    report = {
        "environment": environment(os.cpu_count() or 1),
        "command": shlex.join(["python", "-m", "benchmarks.precision", *sys.argv[1:]]),
        "images": len(images),
        "results": table,
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
