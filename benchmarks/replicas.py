"""One process with all cores beside several processes with a core each: images a second, in turns.

    python -m benchmarks.replicas [--rounds 5] [--seconds 4] [--count N]

ResNet-20 on CIFAR-10, and EfficientNet-Lite0 at 224 pixels. So many images wait that no slot is ever
free; they go over pipes to the processes, as in `fluxpath serve --replicas`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import DATA, arguments, cifar_images, head, write
from benchmarks.serving import photos, rate
from fluxpath.bench.machine import Neighbours
from fluxpath.bench.timing import summary
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import Explainer
from fluxpath.runtime.replicas import Replicas

CALLERS = 96
"""So many that no slot of either side is ever free."""


def measured(
    path: Path, images: npt.NDArray[np.float32], count: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Both sides in turns; the ratio is that of each pair."""
    found: dict[str, list[float]] = {"one": [], "several": []}
    with Explainer(path, threads=count) as one:
        one.warmup()
        several = Replicas(path, count, threads=1)
        try:
            several.warmup()
            for _ in range(rounds):
                for name, side in (("one", one), ("several", several)):
                    time.sleep(0.2)  # until the threads of the other have stopped spinning
                    found[name].append(rate(side, images, seconds, CALLERS))
        finally:
            several.close()
    ratio = np.divide(found["several"], found["one"]).tolist()
    return {**{name: summary(values) for name, values in found.items()}, "several over one": summary(ratio)}


def main() -> None:
    """Measure, print and write the report."""
    parser = arguments("replicas", __doc__, cifar=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--count", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    report, neighbours = head("replicas"), Neighbours()
    sources = {
        "resnet20": (DATA / "resnet20.onnx", cifar_images(DATA / "images.npz")[:100]),
        "lite0": (DATA.parent / "imagenet" / "efficientnet_lite0.onnx", photos()),
    }
    with TemporaryDirectory() as folder:
        for name, (source, images) in sources.items():
            path = Path(folder, f"{name}.grad.onnx")
            gradient_from_onnx(source, path)
            report[name] = measured(path, images, options.count, options.rounds, options.seconds)
            print(name, report[name], flush=True)
    report["processes"] = options.count
    report["environment"]["others_share_of_cores"] = neighbours.share()
    write(report, options.out)


if __name__ == "__main__":
    main()
