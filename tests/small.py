"""Small classifiers in ONNX's text form, exported and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
import onnxruntime

from fluxpath.export import Exported, gradient_from_onnx

CNN = (
    "c = Conv<pads=[1, 1, 1, 1]>(x, w, b) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) {} = Gemm(f, v)"
)
"""From x [batch, 3, 4, 4] to five logits."""

WEIGHTS: dict[str, Any] = {"w": (4, 3, 3, 3), "b": (4,), "v": (4, 5)}


def cnn(tail: str = "", *, dims: str = "batch,3,4,4", **options: Any) -> onnx.ModelProto:
    """The convolutional classifier; with a `tail`, nodes from its logits `z` on to the outputs."""
    text = f"{CNN.format('z')} {tail}" if tail else CNN.format("y")
    return gradcheck.parse(text, dims, **{**WEIGHTS, **options})


def images(n: int, *shape: int, seed: int = 3) -> np.ndarray:
    """Random inputs in [0, 1]."""
    return np.random.default_rng(seed).random((n, *(shape or (3, 4, 4)))).astype(np.float32)


def export(model: onnx.ModelProto, folder: Path, **settings: Any) -> Exported:
    """Write `model` and its gradient graph into `folder`."""
    source = folder / "model.onnx"
    onnx.save(model, source)
    return gradient_from_onnx(source, folder / "model.grad.onnx", **settings)


def run(
    path: Path | onnx.ModelProto, x: np.ndarray, target: Any = None, **feeds: Any
) -> dict[str, np.ndarray]:
    """All outputs of an ONNX file by name, on ONNX Runtime; `target` is given if it is not None."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    data = path.read_bytes() if isinstance(path, Path) else path.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    if target is not None:
        feeds["target"] = np.broadcast_to(np.asarray(target, np.int64), len(x))
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x, **feeds}), strict=True))


def slope(model: onnx.ModelProto, score: Any, x: np.ndarray, v: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The central difference of score(first output) along `v` in float64, one per batch entry."""
    double = gradcheck.in_double(model)
    ahead, behind = (score(double({"x": x + sign * step * v})[0]) for sign in (1.0, -1.0))
    return (ahead - behind) / (2 * step)
