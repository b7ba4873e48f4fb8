"""MFABA on the CPU: fluxpath against eager PyTorch, one image at a time and many at once.

    python -m benchmarks.cpu [--rounds 5] [--threads N] [--model PATH] [--data PATH] [--out JSON]

First it checks that the sides agree, then it times them in turns and takes the ratios pair by pair. Without
the CIFAR-10 files it runs on random weights and noise: as much work a step, and walks that mean nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import Neighbours, arguments, head, print_agreement, print_table, summary, write
from benchmarks.workers import Ascent, Floats, Integers, Setup, Work, Worker
from fluxpath.export import gradient_from_onnx
from fluxpath.progress import Progress

ASCENTS: tuple[Ascent, ...] = ("sharp", "smooth")
KINDS = ("latency", "throughput")
SIDES = ("fluxpath", "published", "folded", "best")
BATCHES = (32, 100)
SINGLE_IMAGES = 20
TRIES = 3
BUSY = 0.05
"""Above this share of the cores in the hands of others the figures are no use."""


def main() -> int:
    """Check, time, report; 1 if the sides disagree."""
    options = _options()
    images, targets = _images(options.data)
    neighbours = Neighbours()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # fluxpath's kernels and PyTorch alike
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        with Progress(1, "model", "exporting", alike=False):
            setup = _setup(options.model, Path(folder), images, targets, options.threads)
        workers = {side: stack.enter_context(Worker(side, setup)) for side in SIDES}
        with Progress(
            len(ASCENTS) * len(SIDES), "run", "checking that the sides agree", alike=False
        ) as progress:
            agreement = _agreement(workers, len(images), options.data.parent, progress)
        print_agreement(agreement)
        sys.stdout.flush()
        if not all(_agrees(entry) for entry in agreement):
            print("the sides disagree, so their times mean nothing", file=sys.stderr)
            return 1
        with Progress(len(KINDS) * len(ASCENTS) * len(SIDES), "choice", alike=False) as progress:
            chosen = _choices(workers, len(images), progress)
        with Progress(len(KINDS) * len(ASCENTS) * options.rounds, "round", alike=False) as progress:
            results = [
                _measured(workers, kind, ascent, chosen, options.rounds, len(images), progress)
                for kind in KINDS
                for ascent in ASCENTS
            ]
    print_table(results)
    others = neighbours.share()
    if others is not None and others > BUSY:
        print(
            f"\nOther processes took {others:.0%} of the cores. Threads that wait for each other suffer "
            "most, so the ratios are not worth quoting."
        )
    report = {
        **head("cpu", options.threads),
        "real_model_and_images": [options.model.is_file(), options.data.is_file()],
        "images": len(images),
        "agreement": agreement,
        "results": results,
    }
    report["environment"]["others_share_of_cores"] = others
    write(report, options.out)
    print(f"\nwritten to {options.out}")
    return 0


def _options() -> argparse.Namespace:
    parser = arguments("cpu", __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every side")
    return parser.parse_args()


def _images(path: Path) -> tuple[Floats, Integers]:
    """Images in [0, 1] and the classes to explain; noise and no classes (-1) where there is no file."""
    if not path.is_file():
        noise = np.random.default_rng(0).random((400, 3, 32, 32), np.float32)
        return noise, np.full(400, -1, np.int64)
    with np.load(path) as data:
        return data["images"].astype(np.float32) / 255, data["predicted"].astype(np.int64)


def _setup(model: Path, folder: Path, images: Floats, targets: Integers, threads: int) -> Setup:
    """Export the gradient graph; where there is no model, of one with random weights."""
    source: Path | None = model
    if not model.is_file():
        from benchmarks import resnet20

        resnet20.to_onnx(resnet20.random(), model := folder / "random.onnx")
        source = None
    if (targets < 0).any():
        import onnxruntime

        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        targets = session.run(None, {session.get_inputs()[0].name: images})[0].argmax(1)
    exported = gradient_from_onnx(model, folder / "model.grad.onnx")
    return Setup(exported.path, source, images, targets, threads)


def _agreement(
    workers: dict[str, Worker], count: int, folder: Path, progress: Progress
) -> list[dict[str, Any]]:
    """How the eager sides compare with fluxpath, and all of them with float64 where that is at hand."""
    entries = []
    for ascent in ASCENTS:
        answers = {}
        for side in SIDES:
            answers[side] = workers[side].answer(Work(ascent, 0, count))
            progress.update()
        ours = answers["fluxpath"]
        for side in SIDES[1:]:
            found = _compared(answers[side].values, answers[side].steps, ours.values, ours.steps)
            entries.append({"ascent": ascent, "side": side, "to": "fluxpath", **found})
        reference = folder / "mfaba_reference_float64.npz"
        if not reference.is_file():
            continue
        with np.load(reference) as data:
            index, steps = data["index"], data[f"{ascent}_steps"]
            values = data[f"{ascent}_trapezoid"]
        for side in SIDES:
            found = _compared(answers[side].values[index], answers[side].steps[index], values, steps)
            entries.append({"ascent": ascent, "side": side, "to": "float64 reference", **found})
    return entries


def _compared(
    values: npt.NDArray[Any], steps: Integers, other: npt.NDArray[Any], other_steps: Integers
) -> dict[str, float]:
    """Share of images with the same steps; relative L2 distance of the attributions, of all images."""
    first, second = (a.reshape(len(a), -1).astype(np.float64) for a in (values, other))
    distance = np.linalg.norm(first - second, axis=1) / np.linalg.norm(second, axis=1)
    return {
        "same_steps": float((steps == other_steps).mean()),
        "median": float(np.median(distance)),
        "p90": float(np.quantile(distance, 0.9)),
        "max": float(distance.max()),
    }


def _agrees(entry: dict[str, Any]) -> bool:
    """Whether it is the same method: float32 alone moves few walks and little of the typical image."""
    return bool(entry["same_steps"] >= 0.9 and entry["median"] <= 1e-3)


def _choices(
    workers: dict[str, Worker], count: int, progress: Progress
) -> dict[tuple[str, str, Ascent], Work]:
    """The better settings of each side for each task: the least time of a few tries decides."""
    chosen = {}
    for kind in KINDS:
        for ascent in ASCENTS:
            last = SINGLE_IMAGES if kind == "latency" else count
            for side in SIDES:
                progress.doing(f"trying settings of {side}, {kind}, {ascent}")
                candidates = _candidates(side, kind, ascent, last)
                tries = TRIES if len(candidates) > 1 else 0
                times = [[workers[side].time(work) for work in candidates] for _ in range(tries)]
                best = int(np.argmin(np.min(times, axis=0))) if times else 0
                chosen[kind, side, ascent] = candidates[best]
                progress.update()
    return chosen


def _candidates(side: str, kind: str, ascent: Ascent, last: int) -> list[Work]:
    """fluxpath runs with its defaults; the eager loops have a batch size and the better one an order."""
    batches = (1,) if kind == "latency" else BATCHES[: 1 if side == "fluxpath" else None]
    orders = (False, True) if side == "best" else (False,)
    return [Work(ascent, 0, last, batch=b, channels_last=order) for b in batches for order in orders]


def _measured(
    workers: dict[str, Worker],
    kind: str,
    ascent: Ascent,
    chosen: dict[tuple[str, str, Ascent], Work],
    rounds: int,
    count: int,
    progress: Progress,
) -> dict[str, Any]:
    """Seconds of every turn: a side a turn, one image a turn (latency) or all of them (throughput)."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    apart = max(1, count // SINGLE_IMAGES)
    firsts = range(0, apart * SINGLE_IMAGES, apart) if kind == "latency" else range(1)
    progress.doing(f"timing {kind}, {ascent}")
    for number in range(rounds):
        turns = SIDES[number % 4 :] + SIDES[: number % 4]  # nobody is always first
        for first in firsts:
            last = first + 1 if kind == "latency" else count
            for side in turns:
                work = replace(chosen[kind, side, ascent], first=first, last=last)
                seconds[side].append(workers[side].time(work))
        progress.update()
    return {
        "kind": kind,
        "ascent": ascent,
        "images": len(firsts) if kind == "latency" else count,
        "pairs": len(seconds["fluxpath"]),
        "settings": {
            side: {"batch": work.batch} | ({"channels_last": work.channels_last} if side == "best" else {})
            for side in SIDES[1:]
            for work in [chosen[kind, side, ascent]]
        },
        "seconds": {side: summary(times) for side, times in seconds.items()},
        "ratio": {
            side: summary(np.divide(seconds[side], seconds["fluxpath"]).tolist()) for side in SIDES[1:]
        },
    }


if __name__ == "__main__":
    sys.exit(main())
