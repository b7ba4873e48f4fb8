"""What insertion and deletion cost: here, in a loop as RISE's, and in Quantus, on the same photos in turns.

    python -m benchmarks.metrics [--images 4] [--steps 224] [--rounds 3] [--folder PATH] [--out JSON]

EfficientNet-Lite0 at 224 pixels. Ours is `measure` for insertion and deletion on black and blur, all photos
at once, with the share of its time that is spent inside the model. RISE's is its `single_run`, one photo and
one level at a time, the same four games, with the network as an eager torch module and in ONNX Runtime; its
scores are compared with ours. Quantus' PixelFlipping is deletion on black alone, 64 photos at a time as is
its default, and is compared with ours of as many levels for that alone; it is left out where it is not
installed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from PIL import Image

from benchmarks import lite0
from benchmarks.report import arguments, head, write
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.metrics import Case, Deletion, Insertion, Metric, measure
from fluxpath.runtime.metrics.substrates import filled

SUBSTRATES = ("black", "blur")
PAUSE = 0.3
Model = Callable[[np.ndarray], np.ndarray]


def rise(model: Model, case: Case, start: np.ndarray, end: np.ndarray, step: int) -> float:
    """RISE's CausalMetric.single_run and auc, from its paper and code: one level of one image at a time."""
    points = start.copy()
    saliency = case.values.sum(axis=0).reshape(-1)
    order = np.argsort(-saliency, kind="stable")
    steps = -(-len(order) // step)
    scores = np.empty(steps + 1)
    for k in range(steps + 1):
        scores[k] = model(points[None])[0, case.target]
        now = order[step * k : step * (k + 1)]
        points.reshape(3, -1)[:, now] = end.reshape(3, -1)[:, now]
    return float((scores.sum() - scores[0] / 2 - scores[-1] / 2) / steps)


def games(model: Model, case: Case, step: int) -> list[float]:
    """The four games of a photo."""
    found = []
    for substrate in SUBSTRATES:
        other = filled(case, substrate)
        found += [rise(model, case, other, case.image, step), rise(model, case, case.image, other, step)]
    return found


def eager(module: torch.nn.Module) -> Model:
    """Probabilities by the eager module."""

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(images)).softmax(1).numpy()

    return run


def in_onnxruntime(path: Path, threads: int) -> Model:
    """Probabilities by the forward file in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        (logits,) = session.run(None, {name: images})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    return run


def numbers_a_step(steps: int) -> int:
    """How many numbers Quantus flips at a time: a divisor of the pixels, for at most `steps` steps."""
    pixels = 224 * 224
    return min(k for k in range(1, pixels + 1) if pixels % k == 0 and 3 * pixels / k <= steps)


def quantus_flipping(module: torch.nn.Module, cases: list[Case], numbers: int) -> list[float] | None:
    """The areas by Quantus; None where it is not installed."""
    try:
        import quantus
    except ImportError:
        return None
    flipping = quantus.PixelFlipping(
        features_in_step=numbers, perturb_baseline=0.0, normalise=False, disable_warnings=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curves = flipping(
            model=module,
            x_batch=np.stack([case.image for case in cases]),
            y_batch=np.array([case.target for case in cases]),
            a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in cases]),
            softmax=True,
        )
    return [float(np.mean(curve)) for curve in curves]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, after a pause, and what came out."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def ours(
    explainer: Explainer, cases: list[Case], metrics: list[Metric]
) -> tuple[list[list[float]], float, int]:
    """Values, seconds inside the model, and evaluations."""
    fresh = [Case(case.image, case.attribution, case.seed) for case in cases]  # whose substrates are not made
    run = measure(explainer, fresh, metrics)
    values = [[found[metric].value for metric in metrics] for found in run]
    return values, run.seconds, run.evaluations


def main() -> int:
    """Measure, print and write the report."""
    parser = arguments("metrics", __doc__, cifar=False)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--steps", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, default=lite0.FOLDER)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    path = asked.folder / "efficientnet_lite0.onnx"
    module = lite0.load(path)
    files = sorted((asked.folder / "images").iterdir())[: asked.images]
    photos = [np.asarray(Image.open(file).convert("RGB"), np.uint8) for file in files]
    metrics: list[Metric] = []
    for substrate in SUBSTRATES:
        metrics += [Insertion(substrate, asked.steps), Deletion(substrate, asked.steps)]
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "lite0.grad.onnx"
        gradient_from_onnx(path, graph)
        with Explainer(graph, threads=asked.threads) as explainer:
            images = explainer.prepare(photos)
            made = explainer.attribute(images, method=MFABA())
            cases = [Case(images[i], made[i], i) for i in range(len(images))]
            explainer.warmup(predict=True)
            report = head("metrics", asked.threads) | compared(
                explainer,
                cases,
                metrics,
                module,
                in_onnxruntime(path, asked.threads),
                asked.steps,
                asked.rounds,
            )
    print(json.dumps({k: v for k, v in report.items() if k != "environment"}, indent=1))
    write(report, asked.out)
    return 0


def compared(
    explainer: Explainer,
    cases: list[Case],
    metrics: list[Metric],
    module: torch.nn.Module,
    runtime: Model,
    steps: int,
    rounds: int,
) -> dict[str, Any]:
    """Times of all sides in turns, the shares inside the model, and how far values are apart."""
    torch_model, step, numbers = eager(module), -(-224 * 224 // steps), numbers_a_step(steps)
    flipping = Deletion("black", 3 * 224 * 224 // numbers)
    sides: dict[str, Callable[[], Any]] = {
        "measure": lambda: ours(explainer, cases, metrics),
        "RISE's loop, eager torch": lambda: [games(torch_model, case, step) for case in cases],
        "RISE's loop, ONNX Runtime": lambda: [games(runtime, case, step) for case in cases],
        "measure, deletion on black": lambda: ours(explainer, cases, [flipping]),
        "Quantus' PixelFlipping": lambda: quantus_flipping(module, cases, numbers),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, call in sides.items():
            seconds, found[name] = timed(call)
            times[name].append(seconds)
    values, inside, evaluations = found["measure"]
    best = {name: min(each) / len(cases) for name, each in times.items()}
    report: dict[str, Any] = {
        "images": len(cases),
        "seconds an image": best,
        "evaluations an image": evaluations / len(cases),
        "share inside the model": inside / times["measure"][-1],
        "times as fast as RISE's loop in eager torch": best["RISE's loop, eager torch"] / best["measure"],
        "times as fast as RISE's loop in ONNX Runtime": best["RISE's loop, ONNX Runtime"] / best["measure"],
        "largest difference from RISE's loop": float(
            np.abs(np.array(values) - np.array(found["RISE's loop, ONNX Runtime"])).max()
        ),
    }
    if found["Quantus' PixelFlipping"] is not None:
        quantus = best["Quantus' PixelFlipping"]
        report["times as fast as Quantus"] = quantus / best["measure, deletion on black"]
    return report


if __name__ == "__main__":
    sys.exit(main())
