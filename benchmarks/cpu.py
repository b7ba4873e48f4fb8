"""MFABA on the CPU: fluxpath against eager PyTorch, one image at a time and many at once.

    python -m benchmarks.cpu [--rounds 5] [--threads N] [--model PATH] [--data PATH] [--out JSON]

`fluxpath bench` on ResNet-20 and CIFAR-10, with one more side, the published way on the folded module, and
with the float64 reference beside the sides. Without the CIFAR-10 files it runs on random weights and noise:
as much work a step, and walks that mean nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cifar
from benchmarks.report import arguments, head, write
from fluxpath.bench.agreement import agreement
from fluxpath.bench.machine import BUSY, Neighbours
from fluxpath.bench.run import SLOTS, Task, measured, steps_of
from fluxpath.bench.timing import Rounds
from fluxpath.bench.words import disagreeing, table_rows
from fluxpath.bench.work import Setup, Work
from fluxpath.bench.workers import Worker
from fluxpath.machine import cores
from fluxpath.progress import Progress
from fluxpath.runtime import MFABA

METHODS = {
    "mfaba-sharp": MFABA("sharp", step_size=0.1),
    "mfaba-smooth": MFABA("smooth", step_size=0.001),
}
SIDES = ("fluxpath", "published", "folded", "best")
SINGLE_IMAGES = 20


def main() -> int:
    """Check, time, report; 1 if the sides disagree."""
    options = _options()
    images = cifar.images_in(options.data)
    neighbours = Neighbours()
    tasks = [
        Task(name, method, batch, Rounds(options.rounds * (SINGLE_IMAGES if batch == 1 else 1)))
        for batch in (1, "auto")
        for name, method in METHODS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        with Progress(1, "model", "exporting", alike=False):
            setup, scores = cifar.setup(options.model, images, Path(folder), options.threads)
        reference = options.data.parent / "mfaba_reference_float64.npz"
        beside = _beside_reference(setup, reference) if reference.is_file() else []
        with Progress(steps_of(SIDES, tasks), "step", alike=False) as progress:
            rows, left_out = measured(setup, scores, SIDES, tasks, progress)
    report: dict[str, Any] = {
        **head("cpu", options.threads),
        "real_model_and_images": [options.model.is_file(), options.data.is_file()],
        "images": len(images),
        "beside_float64": beside,
        "left_out": left_out,
        "rows": rows,
    }
    for line in (*beside, *table_rows(report)):
        print(*(line.values() if isinstance(line, dict) else line), sep="\t")
    others = report["environment"]["others_share_of_cores"] = neighbours.share()
    if others is not None and others > BUSY:
        print(f"\nOther processes took {others:.0%} of the cores: the ratios are not worth quoting.")
    write(report, options.out)
    print(f"\nwritten to {options.out}")
    return int(disagreeing(report))


def _options() -> argparse.Namespace:
    parser = arguments("cpu", __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores(), help="of every side")
    return parser.parse_args()


def _beside_reference(setup: Setup, path: Path) -> list[dict[str, Any]]:
    """How every side compares with float64, over all images that the reference has."""
    found = []
    with np.load(path) as data, Progress(len(SIDES), "side", "beside float64", alike=False) as progress:
        index = data["index"]
        for side in SIDES:
            with Worker(side, setup) as worker:
                for name, method in METHODS.items():
                    work = Work(method, 0, len(setup.targets), SLOTS)
                    values, steps = worker.answer(work)
                    exact = data[f"{method.ascent}_trapezoid"], data[f"{method.ascent}_steps"]
                    assert steps is not None
                    apart = agreement((values[index], steps[index]), exact)
                    found.append({"method": name, "side": side, **asdict(apart)})
            progress.update()
    return found


if __name__ == "__main__":
    sys.exit(main())
