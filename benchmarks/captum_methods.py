"""Images per second of every method that Captum has as well, on the same model and machine, in one run.

    python -m benchmarks.captum_methods [--images 64] [--rounds 3] [--model PATH] [--data PATH] [--out JSON]

Both explain the softmax probability of the predicted class of CIFAR-10 images by ResNet-20, in one process
and in turns, with the same number of threads and a pause between that lets the other's threads come to rest.
Captum gets the model frozen, in channels_last order and batches of 32 (of 32 points where a method takes many
an image). Before timing, the attributions of the methods without noise are compared.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum.attr as captum
import numpy as np
import torch

from benchmarks import eager, resnet20
from benchmarks.report import arguments, head, summary, write
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import (
    ExpectedGradients,
    Explainer,
    InputXGradient,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
)

PAUSE, BATCH, STEPS = 0.3, 32, 50


def captum_methods(model: torch.nn.Module, background: torch.Tensor) -> dict[str, Callable[..., Any]]:
    """Captum's calls by name: (images, targets) -> attributions."""

    def probability(x: torch.Tensor) -> torch.Tensor:
        return model(x).softmax(1)

    saliency, product = captum.Saliency(probability), captum.InputXGradient(probability)
    integrated, noise = captum.IntegratedGradients(probability), captum.NoiseTunnel(saliency)
    expected = captum.GradientShap(probability)
    return {
        "Saliency": lambda x, t: saliency.attribute(x, t, abs=True),
        "InputXGradient": lambda x, t: product.attribute(x, t),
        "IntegratedGradients": lambda x, t: integrated.attribute(
            x, target=t, n_steps=STEPS, method="gausslegendre", internal_batch_size=BATCH
        ),
        "SmoothGrad": lambda x, t: noise.attribute(
            x, target=t, nt_samples=STEPS, nt_samples_batch_size=1, stdevs=0.15, abs=False
        ),
        "ExpectedGradients": lambda x, t: expected.attribute(
            x, background, n_samples=STEPS, target=t, stdevs=0.0
        ),
    }


def our_methods(background: np.ndarray) -> dict[str, Any]:
    """The same with fluxpath."""
    return {
        "Saliency": Saliency(),
        "InputXGradient": InputXGradient(),
        "IntegratedGradients": IntegratedGradients(steps=STEPS, rule="gauss-legendre"),
        "SmoothGrad": SmoothGrad(n=STEPS, sigma=0.15),
        "ExpectedGradients": ExpectedGradients(background=background, n=STEPS),
    }


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """How long it took, after a pause, and what came out."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def batched(method: Callable[..., Any], images: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Captum in batches of images."""
    parts = zip(images.split(BATCH), targets.split(BATCH), strict=True)
    return torch.cat([method(x, t).detach() for x, t in parts]).numpy()


def main() -> int:
    """Compare, time in turns, print and write."""
    parser = arguments("captum_methods", __doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with np.load(options.data) as data:
        images = data["images"].astype(np.float32) / 255
        targets = data["predicted"].astype(np.int64)
    background = images[-16:]
    images, targets = images[:: 400 // options.images], targets[:: 400 // options.images]
    model = eager.fast_copy(resnet20.from_onnx(options.model), True)
    x = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
    t = torch.from_numpy(targets)
    theirs, ours = captum_methods(model, torch.from_numpy(background)), our_methods(background)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        graph = gradient_from_onnx(options.model, Path(folder) / "g.onnx").path
        with Explainer(graph) as explainer:
            for name, method in ours.items():
                batched(theirs[name], x[:BATCH], t[:BATCH])
                explainer.attribute(images[:BATCH], targets[:BATCH], method)
                times: dict[str, list[float]] = {"fluxpath": [], "captum": []}
                for _ in range(options.rounds):
                    taken, result = seconds(lambda m=method: explainer.attribute(images, targets, m))
                    times["fluxpath"].append(taken)
                    taken, other = seconds(lambda n=name: batched(theirs[n], x, t))
                    times["captum"].append(taken)
                rows.append(_row(name, times, result.values, other, len(images)))
                print(json.dumps(rows[-1]))
    report = {
        **head("captum_methods"),
        "captum": captum.__package__ and __import__("captum").__version__,
        "images": len(images),
        "results": rows,
    }
    write(report, options.out)
    return 0


def _row(
    name: str, times: dict[str, list[float]], values: np.ndarray, other: np.ndarray, count: int
) -> dict[str, Any]:
    ratio = summary(np.divide(times["captum"], times["fluxpath"]).tolist())
    row: dict[str, Any] = {"method": name, "captum_over_fluxpath": ratio}
    row |= {f"{side}_images_a_second": count / float(np.median(taken)) for side, taken in times.items()}
    if name not in ("SmoothGrad", "ExpectedGradients"):
        gap = np.linalg.norm((values - other).reshape(count, -1), axis=1)
        relative = gap / np.linalg.norm(other.reshape(count, -1), axis=1)
        row["relative_distance"] = {"median": float(np.median(relative)), "max": float(relative.max())}
    return row


if __name__ == "__main__":
    sys.exit(main())
