"""Networks of today at 224 pixels, beside eager PyTorch, each in the way that suits it.

    python -m benchmarks.networks export     # minutes: the gradient graphs, into --folder
    python -m benchmarks.networks step       # one gradient step, batch 1 and 8 (4 for the large ones)
    python -m benchmarks.networks methods    # whole methods on one image, Captum beside

--only NAME takes one network, and leaves the others' figures in the results. The networks are torchvision's
(`pip install torchvision`), with seeded random weights, which are as much work as trained ones; images are
noise. Sides are those of `fluxpath bench`, which says how they are timed (docs/bench.md).
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.defaults import compact
from benchmarks.report import arguments, head
from fluxpath.artifact import read_manifest
from fluxpath.bench.graph_sides import predicted
from fluxpath.bench.machine import Neighbours
from fluxpath.bench.run import Task, measured, steps_of
from fluxpath.bench.timing import Rounds
from fluxpath.bench.words import table_rows
from fluxpath.bench.work import Setup
from fluxpath.bench.workers import apart
from fluxpath.export import gradient_from_torch
from fluxpath.machine import cores
from fluxpath.progress import Progress
from fluxpath.runtime import MFABA, IntegratedGradients, NeFLAG, SmoothGrad

OPTIONS = {"resnet50": {"zero_init_residual": True}}
"""A random ResNet-50's gradient is so rough that in float32 no two walks on it are alike; as training begins,
each block is the identity, by as much arithmetic."""

COMPARED = 4
"""Images by which sides are compared: of one alone, rounding can move a walk."""

NETWORKS = {
    "resnet50": 8,
    "mobilenet_v3_large": 8,
    "efficientnet_b0": 8,
    "convnext_tiny": 4,
    "swin_t": 4,
    "vit_b_16": 4,
}
"""The larger batch of each."""

METHODS = {
    "mfaba-sharp": MFABA("sharp", step_size=0.1, max_steps=10),
    "neflag": NeFLAG(n=20, radius=0.1, max_steps=10),
    "ig-50": IntegratedGradients(steps=50, rule="middle"),
    "smoothgrad-50": SmoothGrad(n=50),
}


def network(name: str) -> nn.Module:
    """A network with random weights, the same each time."""
    from torchvision import models

    torch.manual_seed(0)
    module: nn.Module = getattr(models, name)(**OPTIONS.get(name, {})).eval()
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():  # the head of a ViT, before training
            nn.init.normal_(layer.weight, std=0.02)
    return module


def graph_of(name: str, folder: Path) -> Path:
    """Where the gradient graph of one is, of the options that it has now."""
    return folder / ("-".join([name, *OPTIONS.get(name, ())]) + ".grad.onnx")


def export(name: str, folder: Path) -> None:
    """The gradient graph of one, unless it is there."""
    graph = graph_of(name, folder)
    if not graph.is_file():
        gradient_from_torch(network(name), torch.rand(2, 3, 224, 224), graph, input_range=(0.0, 1.0))


def steps(name: str) -> dict[str, list[Task]]:
    """One gradient step: the sides and what they are timed with."""
    return {"published,best": [Task("step", None, batch) for batch in (1, NETWORKS[name])]}


def whole(name: str) -> dict[str, list[Task]]:
    """Whole methods on one image."""
    rounds = Rounds(3)
    tasks = {
        "published": [Task(method, METHODS[method], 1, rounds) for method in ("mfaba-sharp", "neflag")],
        "captum": [Task(method, METHODS[method], 1, rounds) for method in ("ig-50", "smoothgrad-50")],
    }
    return tasks if name in ("resnet50", "efficientnet_b0") else {"published": tasks["published"]}


def timed(name: str, groups: dict[str, list[Task]], folder: Path, threads: int) -> list[dict[str, Any]]:
    """The rows of one network."""
    # By the module's own name: a cold start is another program, which has no __main__ with networks in it.
    make = partial(import_module("benchmarks.networks").network, name)
    graph = graph_of(name, folder)
    manifest, rows = read_manifest(graph), []
    for sides, tasks in groups.items():
        largest = max(COMPARED, *(int(task.batch) for task in tasks))
        with tempfile.TemporaryDirectory() as scratch:
            np.save(pixels := Path(scratch) / "images.npy", _noise(largest))
            none = np.zeros(largest, np.int64)
            setup = Setup(graph, manifest, make, pixels, none, threads)
            targets, scores = apart(predicted, setup, threads=threads)
            chosen = ("fluxpath", *sides.split(","))
            with Progress(steps_of(chosen, tasks), "step", name, alike=False) as progress:
                found, left_out = measured(replace(setup, targets=targets), scores, chosen, tasks, progress)
        rows += [{"network": name, **row, "left_out": left_out} for row in found]
    return rows


def _noise(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).random((count, 3, 224, 224), np.float32)


def main() -> None:
    """Export, or time and write."""
    parser = arguments("networks", __doc__, cifar=False)
    parser.add_argument("what", choices=("export", "step", "methods"))
    parser.add_argument("--only", choices=NETWORKS, action="append")
    parser.add_argument("--folder", type=Path, default=Path("networks"), help="of the gradient graphs")
    parser.add_argument("--threads", type=int, default=cores(), help="of every side")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    out = options.out.with_name(f"networks_{options.what}.json")
    report = json.loads(out.read_text()) if options.only and out.is_file() else {"runs": [], "rows": []}
    for name in options.only or NETWORKS:
        export(name, options.folder)
        if options.what == "export":
            continue
        neighbours = Neighbours()
        groups = (steps if options.what == "step" else whole)(name)
        rows = timed(name, groups, options.folder, options.threads)
        run = head("networks", options.threads)
        run["environment"]["others_share_of_cores"] = neighbours.share()
        report["runs"].append({"network": name, **run})
        report["rows"] = [row for row in report["rows"] if row["network"] != name] + rows
        out.write_text(compact(report))
        for row in table_rows({"rows": rows}):
            print(name, *row, sep="\t", flush=True)


if __name__ == "__main__":
    main()
