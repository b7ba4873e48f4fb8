"""Opening a gradient graph in a new process: without the cache of optimized models, and with it.

    python -m benchmarks.opening MODEL.grad.onnx [MODEL.grad.onnx ...] [--rounds 7]

Each round starts a process for each side, in turns. Seconds are from the start of the process: `imported`,
then `opened`, then `explained` one image; `own` is the process's time on the cores, which others disturb
less.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.report import arguments, head, write
from fluxpath.bench.machine import Neighbours
from fluxpath.bench.timing import summary

PARTS = ("imported", "opened", "explained", "own")


def once(path: str, cache: str, began: str) -> None:
    """What a new process does; prints the seconds of its parts."""
    from fluxpath.runtime import Explainer

    parts = [time.time()]
    with Explainer(path, cache=cache or None) as explainer:
        parts.append(time.time())
        low, high = explainer.manifest.low or 0.0, explainer.manifest.high or 1.0
        image = np.random.default_rng(0).uniform(low, high, explainer.shape).astype(np.float32)
        explainer.attribute(image, method="saliency")
        parts.append(time.time())
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = [part - float(began) for part in parts]
    print(json.dumps([*seconds, used.ru_utime + used.ru_stime]))


def timed(path: Path, cache: str) -> dict[str, float]:
    """The seconds of a new process, by part."""
    command = [sys.executable, "-m", "benchmarks.opening", "--once", str(path), cache, str(time.time())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(zip(PARTS, json.loads(done.stdout), strict=True))


def measured(path: Path, rounds: int) -> dict[str, Any]:
    """Medians and quartiles of both sides, and the ratio of opening pair by pair."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    with TemporaryDirectory() as folder:
        timed(path, folder)  # fills the cache
        for _ in range(rounds):
            found["without"].append(timed(path, ""))
            found["with"].append(timed(path, folder))
        kept = sum(p.stat().st_size for p in Path(folder).iterdir())
    pairs = zip(found["without"], found["with"], strict=True)
    opening = [(a["opened"] - a["imported"]) / (b["opened"] - b["imported"]) for a, b in pairs]
    return {
        "model, MiB": round(path.stat().st_size / 2**20, 1),
        "cache, MiB": round(kept / 2**20, 1),
        **{side: {p: summary([row[p] for row in rows]) for p in PARTS} for side, rows in found.items()},
        "opening, without over with": summary(opening),
    }


def main() -> None:
    """Measure, print and write the report."""
    if sys.argv[1:2] == ["--once"]:
        once(*sys.argv[2:5])
        return
    parser = arguments("opening", __doc__, cifar=False)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    report, neighbours = head("opening"), Neighbours()
    for path in options.models:
        report[path.name] = measured(path, options.rounds)
        print(path.name, json.dumps(report[path.name], indent=1), flush=True)
    report["environment"]["others_share_of_cores"] = neighbours.share()
    write(report, options.out)


if __name__ == "__main__":
    main()
