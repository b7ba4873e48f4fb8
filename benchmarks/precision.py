"""What half precision costs a gradient, and where: ResNet-20 on CIFAR-10 images, against its float32 graph.

    python -m benchmarks.precision [--model PATH] [--data PATH] [--images 100] [--out JSON]

Every value of the half-precision graph is computed by ONNX Runtime in float32 and then rounded, as hardware
does that multiplies halves and sums in float32. "weights" rounds the weights only. The same network with
Softplus in place of ReLU shows what is left without kinks. The numbers are the same on every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from benchmarks.report import arguments, cifar_images, head, write
from fluxpath.bench.timing import summary
from fluxpath.export.gradient_graph import differentiated
from fluxpath.export.passes.precision import BFLOAT16_OPSET, PRECISIONS
from fluxpath.export.reading import load
from fluxpath.export.rounding import rounded
from fluxpath.export.settings import Settings


def gradient_graph_of(proto: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The gradient graph of the model, not verified."""
    settings = Settings(precision=precision)
    return differentiated(load.Source(proto, ""), settings)[0]


def run(proto: onnx.ModelProto, images: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The gradient, one row per image, and which ReLUs let it through."""
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
    parser = arguments("precision", __doc__)
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    images = cifar_images(options.data)[: options.images]
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
        **head("precision"),
        "images": len(images),
        "results": table,
    }
    write(report, options.out)


if __name__ == "__main__":
    main()
