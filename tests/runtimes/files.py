"""The files that other runtimes are given, and what ONNX Runtime makes of them.

The models are small but have what the large ones of their kind have: square weights, strided convolutions
that keep the number of channels, depthwise ones, LayerNorm, GELU, gates, an unrolled recurrence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from torch import nn
from torch_modules import ViT
from zoo.image_models import IMAGE_MODELS
from zoo.measure import randomise
from zoo.toys import TOYS

from benchmarks.resnet20 import ResNet20
from fluxpath.export import attribution_from_gradient, gradient_from_torch
from fluxpath.export.torch_module import exporter

Arrays = dict[str, npt.NDArray[Any]]

TOLERANCE = 1e-4
"""Relative L2, per row. Right results differ by 1e-5 at most, wrong ones by the order of one."""

BATCHES = (1, 3)


def strided() -> nn.Module:
    """Convolutions that halve the picture and keep its channels: square weights, transposed backward."""
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.Conv2d(16, 16, 2, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)
    )


def _image(size: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))


def _zoo(name: str) -> tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]:
    entry = {**IMAGE_MODELS, **TOYS}[name]
    return entry.build, entry.example


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "resnet20": (ResNet20, _image),
    "strided": (strided, _image),
    "vit": (ViT, _image),
    "convnext": _zoo("convnext"),
    "efficientnet": _zoo("efficientnet"),
    "lstm": _zoo("lstm"),
    "rnn": _zoo("rnn"),
}

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet20": ("integrated-gradients", {"steps": 4}),
    "vit": ("mfaba-sharp", {"max_steps": 6}),
    "convnext": ("mfaba-smooth", {"max_steps": 6, "path": "norm"}),
    "lstm": ("neflag", {"n": 2, "max_steps": 2}),
}
"""Whole methods, loop and all. Where ReLUs have kinks, the one whose points rounding does not move."""


def gradient(name: str, folder: Path) -> Path:
    """The gradient graph of that model with random weights."""
    build, example = MODELS[name]
    path = folder / f"{name}.grad.onnx"
    if not path.exists():
        with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patched:
            # The older exporter takes a tenth of a second where the newer takes several. Of the ViT it leaves
            # sizes to the running graph, and OpenVINO refuses sums over axes that are found only then.
            if name != "vit":
                patched.setattr(exporter, "attempts", lambda module: [exporter.Attempt(False, False)])
            torch.manual_seed(0)
            module = build().eval()
            randomise(module, example())
            gradient_from_torch(module, example(), path)
    return path


def whole(name: str, folder: Path) -> Path:
    """That model's method in one file."""
    method, settings = METHODS[name]
    path = folder / f"{name}.{method}.onnx"
    if not path.exists():
        attribution_from_gradient(gradient(name, folder), path, method=method, settings=settings)
    return path


def session(path: Path) -> onnxruntime.InferenceSession:
    """The file on ONNX Runtime's CPU provider."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds(reference: onnxruntime.InferenceSession, batch: int) -> Arrays:
    """Random inputs inside (0, 1), and as targets the predicted class, then given ones."""
    rng = np.random.default_rng(batch)
    image, target = reference.get_inputs()
    return {
        image.name: rng.uniform(0.1, 0.9, (batch, *image.shape[1:])).astype(np.float32),
        target.name: np.array([-1, 1, 2], np.int64)[:batch],
    }


def expected(reference: onnxruntime.InferenceSession, given: Arrays) -> Arrays:
    """Every output by name."""
    names = [o.name for o in reference.get_outputs()]
    return dict(zip(names, reference.run(names, given), strict=True))


def error(given: Arrays, true: Arrays) -> float:
    """The largest relative error of a row of a floating output; infinite where an integer one differs."""
    worst = 0.0
    for name, value in true.items():
        if not np.issubdtype(value.dtype, np.floating):
            worst = worst if np.array_equal(given[name], value) else np.inf
            continue
        rows, right = (np.asarray(v, np.float64).reshape(len(value), -1) for v in (given[name], value))
        size = np.maximum(np.linalg.norm(right, axis=1), 1e-30)
        worst = max(worst, float((np.linalg.norm(rows - right, axis=1) / size).max()))
    return worst
