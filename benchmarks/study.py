"""Which methods explain best: twelve methods and chance, by the metrics, on the images that chose no default.

    python -m benchmarks.study --data cifar10     # ResNet-20, the second half of the images, all metrics
    python -m benchmarks.study --data imagenet    # EfficientNet-Lite0, the second half of the photos

Metrics that explain an image's neighbours, or perturb it some hundred times, cost up to twenty times as much
as the others: of CIFAR-10 every fifth image is measured by them, and of the photos none. A run that was
stopped goes on, as one does with more --images. Into the results go every metric's means, with intervals of
95%, and the groups that cannot be told apart (see docs/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.defaults import compact, load
from benchmarks.report import arguments, head
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)
from fluxpath.runtime.evaluation import Evaluation, evaluate
from fluxpath.runtime.metrics import Metric, metric_named

USUAL = (
    "insertion minus deletion",
    "insertion",
    "deletion",
    "AIC",
    "SIC",
    "DiffID",
    "error rate",
    "Gini",
)
SHOWN: Mapping[tuple[str, str], Sequence[str]] = {
    ("cifar10", "usual"): USUAL,
    ("cifar10", "costly"): (
        "insertion minus deletion, linear",
        "insertion minus deletion, mean",
        "sensitivity-n",
        "infidelity",
        "max sensitivity",
        "average sensitivity",
    ),
    ("imagenet", "usual"): USUAL,
}
"""The tables of docs/compared.md: the data, the run and its metrics."""

Floats = npt.NDArray[np.float32]


def methods(references: Floats) -> Mapping[str, Method | str]:
    """By the names of the tables. references: images of the first half, which two of them need."""
    return {
        "MFABA sharp": MFABA(),
        "MFABA smooth": MFABA(ascent="smooth"),
        "NeFLAG-1": NeFLAG(n=1),
        "NeFLAG-10": NeFLAG(n=10),
        "NeFLAG-20": NeFLAG(n=20),
        "AGI": AGI(),
        "BIG": BIG(),
        "Integrated Gradients": IntegratedGradients(),
        "Guided IG": GuidedIG(),
        "Expected Gradients": ExpectedGradients(references),
        "LPI": LPI(references),
        "SmoothGrad": SmoothGrad(),
        "Saliency": Saliency(),
        "input x gradient": InputXGradient(),
        "random": "random",
    }


def usual() -> Mapping[str, Metric]:
    """What every image of the half is measured by."""
    games = {"steps": 20}
    return {
        "insertion": metric_named("insertion", substrate=("black", "blur"), **games),
        "deletion": metric_named("deletion", substrate=("black", "blur"), **games),
        "insertion minus deletion": metric_named(
            "insertion-minus-deletion", substrate=("black", "blur"), **games
        ),
        "AIC": metric_named("aic"),
        "SIC": metric_named("sic"),
        "DiffID": metric_named("diffid"),
        "error rate": metric_named("error-rate"),
        "completeness gap": metric_named("completeness-gap"),
        "Gini": metric_named("gini"),
        "entropy": metric_named("entropy"),
    }


def costly() -> Mapping[str, Metric]:
    """What every few images are measured by."""
    return {
        "insertion minus deletion, linear": metric_named(
            "insertion-minus-deletion", substrate="linear", steps=10
        ),
        "insertion minus deletion, mean": metric_named(
            "insertion-minus-deletion", substrate="mean", steps=10
        ),
        "sensitivity-n": metric_named("sensitivity-n"),
        "infidelity": metric_named("infidelity"),
        "max sensitivity": metric_named("max-sensitivity", samples=4),
        "average sensitivity": metric_named("average-sensitivity", samples=4),
    }


def summary(found: Evaluation) -> dict[str, Any]:
    """Of each metric its methods, best first: mean, interval, group; and what the methods cost."""
    metrics: dict[str, Any] = {}
    for metric in found.metrics:
        metrics[metric] = {
            each.name: [*_digits(each.mean.mean, each.mean.low, each.mean.high), each.group]
            for each in found.standings(metric)
        }
    images = len(found)
    return {
        "images": images,
        "metrics": metrics,
        "gradients per image": {m: round(n / images, 2) for m, n in found.spent.gradients.items()},
        "seconds per image": {m: _digits(s / images)[0] for m, s in found.spent.explaining.items()},
        "share of the model": round(found.spent.share_of_model, 3),
    }


def _digits(*values: float) -> list[float]:
    return [float(f"{value:.3g}") for value in values]


def table(part: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """Means of some metrics as Markdown, the first one's best method first; bold is the best group."""
    figures = part["metrics"]
    lines = [f"| | {' | '.join(metrics)} | gradients |", f"|---|{'---|' * (len(metrics) + 1)}"]
    for method in figures[metrics[0]]:
        cells = [_cell(*figures[metric][method]) for metric in metrics]
        lines.append(f"| {method} | {' | '.join(cells)} | {part['gradients per image'][method]:.3g} |")
    return "\n".join(lines)


def _cell(mean: float, low: float, high: float, group: int) -> str:
    if group == 0:
        return ""
    text = f"{mean:.3g} ±{(high - low) / 2:.2g}"
    return f"**{text}**" if group == 1 else text


def study(data: str, folder: Path, threads: int, most: int | None) -> dict[str, Any]:
    """Both runs, in folders from which they go on."""
    model, images = load(data)
    half = len(images) // 2
    graph = folder / f"{data}.grad.onnx"
    if not graph.is_file():
        gradient_from_onnx(model, graph)
    chosen = range(half, len(images))[:most]
    runs = {"usual": (usual(), chosen)}
    if data == "cifar10":
        runs["costly"] = costly(), chosen[::5]
    compared = methods(images[: half : half // 10])
    report = {}
    with Explainer(graph, threads=threads) as explainer:
        for name, (metrics, taken) in runs.items():
            found = evaluate(
                explainer,
                ((f"{i:06d}", images[i]) for i in taken),  # of no known number: a run goes on with more
                methods=compared,
                metrics=metrics,
                report=folder / f"{data}-{name}",
                photos=0,
            )
            print(found.table(), flush=True)
            report[name] = summary(found)
    return report


def main() -> None:
    """Evaluate and write the table."""
    parser = arguments("study", __doc__, cifar=False)
    parser.add_argument("--data", choices=("cifar10", "imagenet"), default="cifar10")
    parser.add_argument("--images", type=int, help="at most so many of the half")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("study"), help="where the runs lie, and go on")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    out = options.out.with_name(f"study_{options.data}.json")
    report = head("study", options.threads) | study(
        options.data, options.folder, options.threads, options.images
    )
    out.write_text(compact(report))


if __name__ == "__main__":
    main()
