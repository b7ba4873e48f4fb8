"""What the engine costs beside the gradient graph, and that memory does not grow with the steps.

    python -m benchmarks.engine [--model PATH] [--data PATH] [--large | --no-large] [--out JSON]

Overhead: the time of an attribution minus what the session spent on the gradient graph, for each evaluation;
one image at a time through ResNet-20, and batches of `--slots` through a ResNet-50 at 224 pixels (random
weights: transformers makes it, as much work as a trained one). Memory: the peak of a process of its own that
explains 64 images with at most 5 and with at most 50 steps of the same walk, which no image leaves early.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import arguments, cifar_images, head, write
from fluxpath.bench.timing import summary
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import MFABA, Explainer, OnnxSession


class Clocked(OnnxSession):
    """A session that adds up its own time and evaluations."""

    seconds, evaluations = 0.0, 0

    def run(self, count: int) -> None:
        start = time.perf_counter()
        super().run(count)
        self.seconds += time.perf_counter() - start
        self.evaluations += 1

    def reset(self) -> None:
        self.seconds, self.evaluations = 0.0, 0


def overhead(graph: Path, images: np.ndarray, batch: int, method: MFABA) -> dict[str, Any]:
    """Microseconds beside the graph for each evaluation, and their share of the whole."""
    session = Clocked(graph)
    beside, shares = [], []
    with Explainer.from_session(session, slots=batch) as explainer:
        explainer.attribute(images[:batch], method=method)
        for first in range(0, len(images) - batch + 1, batch):
            session.reset()
            start = time.perf_counter()
            explainer.attribute(images[first : first + batch], method=method)
            seconds = time.perf_counter() - start
            beside.append(1e6 * (seconds - session.seconds) / session.evaluations)
            shares.append((seconds - session.seconds) / seconds)
    return {"batch": batch, "microseconds_a_tick": summary(beside), "share": summary(shares)}


def peak_memory(graph: Path, images: np.ndarray, steps: int) -> float:
    """MB of a process that takes so many steps with every image."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_explain_all, (graph, images, steps))


def _explain_all(graph: Path, images: np.ndarray, steps: int) -> float:
    with Explainer(graph) as explainer:
        # Steps too short to reach the boundary: everyone walks to the end.
        result = explainer.attribute(images, method=MFABA("smooth", max_steps=steps, step_size=1e-7))
    assert (result.steps == steps).mean() > 0.9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def large_graph(folder: Path) -> Path:
    """A ResNet-50 with its gradient, not verified: float64 takes minutes at this size; this is only timed."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    from fluxpath.export.gradient_graph import compile_gradient
    from fluxpath.export.reading import load
    from fluxpath.export.settings import Settings
    from fluxpath.export.verification import Verification

    torch.manual_seed(0)
    model = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()
    path = folder / "resnet50.onnx"
    dynamic = {"pixel_values": {0: torch.export.Dim("batch")}}
    torch.onnx.export(
        model, (torch.rand(2, 3, 224, 224),), path, dynamo=True, dynamic_shapes=dynamic, verbose=False
    )
    settings = Settings(objective="softmax")
    source = load.read(path, settings.oldest_opset)
    unchecked = Verification(error=0.0, typical=0.0, score=0.0)
    return compile_gradient(source, folder / "resnet50.grad.onnx", settings, print, lambda *_: unchecked).path


def main() -> int:
    """Measure, print, write."""
    parser = arguments("engine", __doc__)
    parser.add_argument("--large", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--slots", type=int, default=8, help="of the ResNet-50")
    options = parser.parse_args()
    images = cifar_images(options.data)
    report: dict[str, Any] = {
        **head("engine"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graph = gradient_from_onnx(options.model, folder / "small.grad.onnx").path
        report["resnet20_batch_1"] = overhead(graph, images, 1, MFABA(step_size=None))
        report["resnet20_batch_32"] = overhead(graph, images, 32, MFABA(step_size=None))
        report["peak_mb"] = {steps: peak_memory(graph, images[:64], steps) for steps in (5, 50)}
        if options.large:
            pixels = np.random.default_rng(0).random((2 * options.slots, 3, 224, 224), np.float32)
            report["resnet50_224"] = overhead(
                large_graph(folder), pixels, options.slots, MFABA(max_steps=2, step_size=None)
            )
    print(json.dumps(report, indent=1))
    write(report, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
