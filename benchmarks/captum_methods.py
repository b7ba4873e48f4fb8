"""Images per second of every method that Captum has as well, on the same model and machine, in one run.

    python -m benchmarks.captum_methods [--images 64] [--rounds 3] [--model PATH] [--data PATH] [--out JSON]

`fluxpath bench` with Captum alone beside it: both explain the softmax probability of the predicted class of
CIFAR-10 images by ResNet-20, in batches of 32.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import cifar
from benchmarks.report import arguments, head, write
from fluxpath.bench.machine import Neighbours
from fluxpath.bench.run import Task, measured, steps_of
from fluxpath.bench.timing import Rounds
from fluxpath.bench.words import disagreeing, table_rows
from fluxpath.machine import cores
from fluxpath.progress import Progress
from fluxpath.runtime import ExpectedGradients, InputXGradient, IntegratedGradients, Saliency, SmoothGrad

BATCH, POINTS, BACKGROUND = 32, 50, 16


def main() -> int:
    """Compare, time in turns, print and write; 1 if the sides disagree."""
    parser = arguments("captum_methods", __doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = cifar.images_in(options.data, options.images)
    methods = {
        "saliency": Saliency(),
        "input-x-gradient": InputXGradient(),
        "integrated-gradients": IntegratedGradients(steps=POINTS, rule="gauss-legendre"),
        "smoothgrad": SmoothGrad(n=POINTS, sigma=0.15),
        "expected-gradients": ExpectedGradients(cifar.images_in(options.data)[-BACKGROUND:], n=POINTS),
    }
    rounds = Rounds(options.rounds)
    tasks = [Task(name, method, min(BATCH, len(images)), rounds) for name, method in methods.items()]
    sides, neighbours = ("fluxpath", "captum"), Neighbours()
    with tempfile.TemporaryDirectory() as folder:
        setup, scores = cifar.setup(options.model, images, Path(folder), cores())
        with Progress(steps_of(sides, tasks), "step", alike=False) as progress:
            rows, left_out = measured(setup, scores, sides, tasks, progress)
    report = {**head("captum_methods", cores()), "images": len(images), "left_out": left_out, "rows": rows}
    report["environment"]["others_share_of_cores"] = neighbours.share()
    for line in table_rows(report):
        print(*line, sep="\t")
    write(report, options.out)
    return int(disagreeing(report))


if __name__ == "__main__":
    sys.exit(main())
