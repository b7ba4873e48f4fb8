"""Which lengths MFABA and NeFLAG should take by default.

    python -m benchmarks.defaults search --data cifar10      # candidates, on the first half of the images
    python -m benchmarks.defaults search --data imagenet [--images 30]
    python -m benchmarks.defaults confirm --data cifar10     # what was chosen, on the second half

Faithfulness is insertion minus deletion: pixels, in the order of their attribution summed over the channels,
replace those of a black and of a blurred image (insertion), or are replaced by them (deletion); a score is
the mean probability of the explained class over the curve, averaged over both grounds. The completeness error
is |sum of the attribution - change of the score| / |change of the score|. Intervals are of 95%, by bootstrap
over images; differences are paired.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.lengths import Rule, evaluator, flux, walk
from benchmarks.neflag_stop import blurred
from benchmarks.report import DATA, arguments, cifar_images, head
from fluxpath.export import gradient_from_onnx
from fluxpath.progress import Progress
from fluxpath.runtime import MFABA, Attribution, Explainer, Method, NeFLAG

Floats = npt.NDArray[np.float32]
IMAGENET = DATA.parent / "imagenet"
LEVELS = 17


def load(data: str) -> tuple[Path, Floats]:
    """The forward model and all images, float32 [n, 3, h, w] in [0, 1]."""
    if data == "cifar10":
        return DATA / "resnet20.onnx", cifar_images(DATA / "images.npz")
    photos = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((IMAGENET / "images").iterdir())]
    return IMAGENET / "efficientnet_lite0.onnx", np.stack(photos).transpose(0, 3, 1, 2).astype(
        np.float32
    ) / 255


def faithfulness(explainer: Explainer, image: Floats, values: Floats, target: int) -> float:
    """Insertion minus deletion of one image."""
    _, h, w = image.shape
    order = np.argsort(-values.sum(axis=0).ravel(), kind="stable")
    rank = np.empty(h * w, np.int64)
    rank[order] = np.arange(h * w)
    rank = rank.reshape(1, h, w)
    pictures = []
    for ground in (np.zeros_like(image), blurred(image[None], 20 * h / 224)[0]):
        for count in np.linspace(0, h * w, LEVELS).astype(int):
            pictures += [np.where(rank < count, image, ground), np.where(rank < count, ground, image)]
    p = explainer.predict(np.stack(pictures), top=1).probabilities[:, target]
    return float(p[0::2].mean() - p[1::2].mean())


def gap(values: Floats, change: float) -> float:
    """The completeness error of one image."""
    return abs(float(values.sum(dtype=np.float64)) - change) / max(abs(change), 1e-12)


def walks() -> dict[str, Rule]:
    """The candidates for MFABA."""
    rules = {
        "sharp 0.1": Rule("sharp", fixed=0.1),
        "sharp 0.01": Rule("sharp", fixed=0.01),
        "smooth 0.001": Rule("smooth", fixed=0.001),
    }
    for ascent in ("sharp", "smooth"):
        for k in (2, 4, 8, 16):
            rules[f"{ascent} d/{k}"] = Rule(ascent, k=k)
        rules[f"{ascent} d/4 anew"] = Rule(ascent, k=4, anew=True)
        for k in (4, 8):
            rules[f"{ascent} d/{k} +1/4 after {k}"] = Rule(ascent, k=k, growth="line", steady=k)
            rules[f"{ascent} d/{k} *1.25 after {k}"] = Rule(ascent, k=k, growth="power", steady=k, rate=1.25)
        rules[f"{ascent} d/8 *1.5 after 8"] = Rule(ascent, k=8, growth="power", rate=1.5)
        rules[f"{ascent} d/8 +1/2 after 8"] = Rule(ascent, k=8, growth="line", rate=0.5)
    return rules


def spheres() -> dict[str, tuple[int, str, float, float]]:
    """The candidates for NeFLAG: n, the distance's norm, the share of it, a fixed radius instead."""
    given = {f"radius {radius:g}": ("sharp", 0.0, radius) for radius in (0.1, 0.03, 0.01, 0.003)}
    given |= {f"L2 d*{share:g}": ("sharp", share, 0.0) for share in (0.125, 0.25, 0.5, 1.0)}
    given |= {f"L1 d*{share:g}": ("smooth", share, 0.0) for share in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)}
    made = {f"neflag-10 {name}": (10, *rest) for name, rest in given.items()}
    made |= {
        f"neflag-1 {name}": (1, *given[name]) for name in ("radius 0.03", "radius 0.01", "L1 d*0.5", "L1 d*2")
    }
    for name in ("radius 0.1", "radius 0.03", "L2 d*0.25", "L2 d*0.5", "L1 d*2", "L1 d*4"):
        made[f"neflag-20 {name}"] = (20, *given[name])
    return made


Column = dict[str, list[float]]


def search(
    explainer: Explainer, graph: Path, images: Floats, threads: int, only: str
) -> Iterator[tuple[str, Column]]:
    """Each candidate with its figures for each image."""
    evaluate = evaluator(graph, threads)
    target = explainer.predict(images, top=1).classes[:, 0]

    def scored(values: Floats, index: int) -> float:
        return faithfulness(explainer, images[index], values, int(target[index]))

    for name, rule in _of(walks(), only):
        parts = [walk(evaluate, images[i : i + 10], rule) for i in range(0, len(images), 10)]
        rows = [
            (w.values[i], w.evaluations[i], float(w.first[i] - w.last[i]))
            for w in parts
            for i in range(len(w.values))
        ]
        yield (
            name,
            {
                "difference": [scored(v, i) for i, (v, _, _) in enumerate(rows)],
                "evaluations": [float(e) for _, e, _ in rows],
                "error": [gap(v, change) for v, _, change in rows],
            },
        )
    for name, (n, norm, share, fixed) in _of(spheres(), only):
        found = [flux(evaluate, image, n, norm, share, fixed) for image in images]
        yield (
            name,
            {
                "difference": [scored(v, i) for i, (v, _) in enumerate(found)],
                "evaluations": [e for _, e in found],
            },
        )


def confirmed() -> dict[str, Method]:
    """The defaults and the published settings."""
    return {
        "sharp auto": MFABA(),
        "sharp 0.1": MFABA(step_size=0.1),
        "sharp 0.01": MFABA(step_size=0.01),
        "smooth auto": MFABA(ascent="smooth"),
        "smooth 0.001": MFABA(ascent="smooth", step_size=0.001),
        "neflag auto": NeFLAG(),
        "neflag radius 0.1": NeFLAG(radius=0.1),
        "neflag radius 0.03": NeFLAG(radius=0.03),
    }


def confirm(explainer: Explainer, images: Floats, only: str) -> Iterator[tuple[str, Column]]:
    """Each setting with its figures for each image."""
    for name, method in _of(confirmed(), only):
        results = [explainer.attribute(image, method=method) for image in images]
        yield name, _figures(explainer, images, results, method)


def _figures(explainer: Explainer, images: Floats, results: list[Attribution], method: Method) -> Column:
    column: Column = {
        "difference": [
            faithfulness(explainer, image, r.values[0], int(r.target[0]))
            for image, r in zip(images, results, strict=True)
        ],
        # a walk evaluates at its start as well, NeFLAG at each sample's and once at the image
        "evaluations": [float(r.steps[0]) + method.lanes + (method.lanes > 1) for r in results],
    }
    if results[0].end_score is not None:
        column["error"] = [gap(r.values[0], float(r.score[0] - r.end_score[0])) for r in results]
    return column


def _of(settings: dict[str, Any], only: str) -> list[tuple[str, Any]]:
    return [(name, made) for name, made in settings.items() if re.search(only, name)]


def summary(columns: dict[str, Column], against: Callable[[str], str]) -> dict[str, Any]:
    """Of each column: means, quantiles, and the paired difference to another one, with its interval."""
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {}
    for name, column in columns.items():
        own = np.array(column["difference"])
        draws = rng.integers(len(own), size=(4000, len(own)))
        row: dict[str, Any] = {"insertion minus deletion": _interval(own, draws)}
        other = against(name)
        if other != name and len(columns.get(other, column)["difference"]) == len(own) and other in columns:
            row[f"less that of {other}"] = _interval(own - np.array(columns[other]["difference"]), draws)
        taken = np.array(column["evaluations"])
        row["evaluations"] = [round(float(v), 2) for v in (taken.mean(), *np.quantile(taken, [0.5, 0.9, 1]))]
        if "error" in column:
            row["completeness error"] = [float(f"{v:.3g}") for v in np.quantile(column["error"], [0.5, 0.9])]
        table[name] = row
    return table


def _interval(values: npt.NDArray[np.float64], draws: npt.NDArray[np.int64]) -> list[float]:
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return [round(float(v), 4) for v in (values.mean(), low, high)]


def compact(report: dict[str, Any]) -> str:
    """JSON with the lists of numbers on one line each."""
    return re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(report, indent=1)) + "\n"


def reference(name: str) -> str:
    """What a setting is compared with: the published one of its kind."""
    first = name.split()[0]
    return {"sharp": "sharp 0.1", "smooth": "smooth 0.001"}.get(first, f"{first} radius 0.1")


def main() -> None:
    """Measure and print a table."""
    parser = arguments("defaults", __doc__, cifar=False)
    parser.add_argument("what", choices=("search", "confirm"))
    parser.add_argument("--data", choices=("cifar10", "imagenet"), default="cifar10")
    parser.add_argument("--images", type=int, help="at most so many of the half")
    parser.add_argument("--only", default="", help="a regular expression of the settings that are measured")
    parser.add_argument("--add", action="store_true", help="to the figures that are there already")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    model, images = load(options.data)
    half = len(images) // 2
    images = (images[:half] if options.what == "search" else images[half:])[: options.images]
    out = options.out.with_name(f"defaults_{options.what}_{options.data}.json")
    report = json.loads(out.read_text()) if options.add else {"runs": [], "columns": {}}
    columns: dict[str, Column] = report["columns"]
    report["runs"].append(head("defaults", options.threads))
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.grad.onnx"
        gradient_from_onnx(model, graph)
        with Explainer(graph, threads=options.threads) as explainer, Progress(None, "setting") as progress:
            found = (
                search(explainer, graph, images, options.threads, options.only)
                if options.what == "search"
                else confirm(explainer, images, options.only)
            )
            for setting, column in found:
                columns[setting] = {
                    name: [float(f"{v:.4g}") for v in values] for name, values in column.items()
                }
                report |= {"settings": summary(columns, reference), "columns": report.pop("columns")}
                out.write_text(compact(report))
                progress.update()
                print(f"{setting:28}", json.dumps(report["settings"][setting]), flush=True)


if __name__ == "__main__":
    main()
