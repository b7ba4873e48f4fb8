"""The trained ResNet-20 and the CIFAR-10 images as fluxpath.bench takes them, or what stands in for them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import resnet20
from fluxpath.bench.graph_sides import predicted
from fluxpath.bench.work import Floats, Integers, Setup
from fluxpath.bench.workers import apart
from fluxpath.export import gradient_from_onnx


def images_in(path: Path, count: int | None = None) -> Floats:
    """Images in [0, 1], all of them or so many, evenly spaced; noise where there is no file."""
    if not path.is_file():
        return np.random.default_rng(0).random((count or 400, 3, 32, 32), np.float32)
    with np.load(path) as data:
        images = data["images"]
        return images[:: max(1, len(images) // (count or len(images)))].astype(np.float32) / 255


def setup(model: Path, images: Floats, folder: Path, threads: int) -> tuple[Setup, Floats]:
    """What sides are built from, the predicted classes its targets; and the images' scores.

    Exports the gradient graph, where there is no model of one with random weights.
    """
    source = model
    if not model.is_file():
        resnet20.to_onnx(resnet20.random(), source := folder / "random.onnx")
    exported = gradient_from_onnx(source, folder / "model.grad.onnx")
    np.save(pixels := folder / "images.npy", images)
    none: Integers = np.zeros(len(images), np.int64)
    make = partial(resnet20.trained, model)
    made = Setup(exported.path, exported.manifest, make, pixels, none, threads)
    targets, scores = apart(predicted, made, threads=threads)
    return Setup(exported.path, exported.manifest, make, pixels, targets, threads), scores
