"""Times attribution on a GPU: fluxpath by backend and precision beside PyTorch and Captum.

    python -m benchmarks.gpu [--models ResNet-20 ResNet-50 EfficientNet-B0 ViT-B/16]

First the gpu tests; then every side on every network, one image at a time and many, and its agreement with
float64; last, the fused kernels' bandwidth beside a copy's. What is not installed, or fails, is skipped with
a line. Without a GPU, --device cpu --quick tries the script itself at tiny sizes; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu.models import LARGE, Subject, subjects
from benchmarks.gpu.parts import ROUNDS, fused_bandwidth, outside_graph
from benchmarks.gpu.plot import plot
from benchmarks.gpu.sides import MFABAS, Explain, Fluxpath, Result, Setup, Side, reference, sides
from benchmarks.report import environment
from fluxpath.runtime import Attribution
from fluxpath.runtime.fidelity import fidelity

ROOT = Path(__file__).resolve().parents[2]
COMPARED = 16
"""Images whose attributions are held against float64's."""

Row = dict[str, Any]


def main() -> int:
    """Test, time, print, write."""
    options = _options()
    cuda = options.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        print("torch finds no GPU here: use --device cpu --quick to try the script")
        return 1
    tests = _tests() if cuda and not options.no_tests else None
    report: dict[str, Any] = {
        "environment": {**environment(torch.get_num_threads()), "device": _device_name(options.device)},
        "command": shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]]),
        "tests_returned": tests,
        "results": [],
        "bandwidth": None,
    }
    _write(report, options.out)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for subject in subjects(options.models, options.quick):
            setup = Setup(subject, options.device, Path(folder), options.max_steps, options.slots)
            _measured(setup, options, report)
    if cuda:
        report["bandwidth"] = _bandwidth(options.device)
        _write(report, options.out)
    else:
        print("skipped: bandwidth of the fused kernels, which needs a GPU")
    if not report["results"]:
        print("nothing was measured")
        return 1
    drawn = plot(report["results"], options.out.with_suffix(".png"))
    print(
        f"written to {options.out}"
        + ("" if drawn else "; skipped: the plot, which needs results and matplotlib")
    )
    return int(bool(tests))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", choices=("ResNet-20", *LARGE))
    parser.add_argument(
        "--sides", nargs="+", help="those with one of these in their names, such as AOTInductor"
    )
    parser.add_argument("--quick", action="store_true", help="ResNet-20, few images and steps")
    parser.add_argument("--images", type=int, help="of the runs of many (256; quick: 2)")
    parser.add_argument("--slots", type=int, help="images that walk at a time, on every side (64; quick: 2)")
    parser.add_argument("--rounds", type=int, help="timed runs (5; quick: 1)")
    parser.add_argument(
        "--max-steps", type=int, help="of a walk, and points of Integrated Gradients (20; quick: 2)"
    )
    parser.add_argument("--seconds", type=float, default=20, help="after which a run has no more rounds (20)")
    parser.add_argument(
        "--warm-up", type=int, help="runs before those (3: recurring sizes are captured; quick: 1)"
    )
    parser.add_argument("--minutes", type=float, default=60, help="after which no run is begun (60)")
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu.json")
    options = parser.parse_args()
    options.until = time.monotonic() + 60 * options.minutes
    defaults = {
        "images": (256, 2),
        "slots": (64, 2),
        "rounds": (5, 1),
        "warm_up": (3, 1),
        "max_steps": (20, 2),
    }
    for name, choice in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, choice[options.quick])
    return options


def _tests() -> int:
    # A module whose imports are missing here must not keep the others' tests from running.
    more = ["-m", "gpu", "--continue-on-collection-errors"]
    command = [sys.executable, "-m", "pytest", *more, str(ROOT / "tests")]
    returned = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"gpu tests: {'passed' if returned == 0 else f'FAILED (pytest returned {returned})'}\n")
    return returned


def _measured(setup: Setup, options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Every side on one network, one after the other: together they might not fit into the GPU's memory."""
    subject = setup.subject
    images = np.random.default_rng(0).random((options.images, *subject.shape), np.float32)
    targets = _predicted(subject, images, setup.device)
    print(f"\n{subject.name}, at most {setup.max_steps} steps")
    exact = _reference(setup, images, targets)
    rows: list[Row] = []
    for side in sides(setup):
        if options.sides and not any(words in side.name for words in options.sides):
            continue
        if time.monotonic() > options.until:
            print(f"  skipped: {side.name}, for --minutes {options.minutes:g}")
            continue
        try:
            with ExitStack() as stack:
                explain = side.open(stack)
                for batch, method in itertools.product(side.batches, side.methods):
                    if time.monotonic() > options.until:
                        print(f"  skipped: the rest of {side.name}, for --minutes {options.minutes:g}")
                        break
                    row = _row(setup, side, explain, (batch, method), images, targets, exact, options)
                    rows.append(row)
                    report["results"].append(row)
                    _write(report, options.out)  # now, for whoever is cut off
                    _print(row, rows)
        except Exception as error:  # one side that fails must not cost the others'
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"  skipped: {side.name} ({reason[:200]})")
        finally:
            if setup.cuda:
                torch.cuda.empty_cache()


def _row(
    setup: Setup,
    side: Side,
    explain: Explain,
    run: tuple[str, str],
    images: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int64],
    exact: dict[str, Result],
    options: argparse.Namespace,
) -> Row:
    """Seconds of every round; of one image at a time, each round another image."""
    batch, method = run
    count = 1 if batch == "one" else len(images)
    _set_tf32(side.tf32)
    seconds: list[float] = []
    started = time.perf_counter()
    for turn in range(options.warm_up + options.rounds):
        if seconds and time.perf_counter() - started > options.seconds:
            break
        first = max(0, turn - options.warm_up) % len(images) if count == 1 else 0
        start = time.perf_counter()
        values, steps = explain(images[first : first + count], targets[first : first + count], method)
        if turn >= options.warm_up or time.perf_counter() - started > options.seconds:
            seconds.append(time.perf_counter() - start)  # every side ends with its result on the host
    share = None
    if isinstance(explain, Fluxpath):
        rounds = 1 if options.quick else ROUNDS
        one, chosen = images[:count], targets[:count]
        share = outside_graph(explain.explainer, lambda: explain(one, chosen, method), rounds)
    return {
        "model": setup.subject.name,
        "images": count,
        "method": method,
        "side": side.name,
        "seconds": seconds,
        "steps": None if steps is None else float(steps.mean()),
        "outside_graph": share,
        "agreement": _agreement((values, steps), exact[method]) if count > 1 and method in exact else None,
    }


def _reference(
    setup: Setup, images: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]
) -> dict[str, Result]:
    try:
        explain = reference(setup)
        return {method: explain(images[:COMPARED], targets[:COMPARED], method) for method in MFABAS}
    except Exception as error:  # float64 may not fit
        print(f"  skipped: agreement with float64 ({str(error).splitlines()[0][:200]})")
        return {}


def _agreement(given: Result, exact: Result) -> Row:
    """How far the first images' attributions are from float64's."""
    count = len(exact[0])
    zeros = np.zeros(count, np.int64)
    pair = []
    for values, steps in (given, exact):
        whole = zeros if steps is None else steps[:count]
        scores = zeros.astype(np.float32)
        pair.append(Attribution(values[:count], zeros, zeros, whole.astype(np.int32), zeros, scores, None))
    found = fidelity(*pair)
    return {
        "distance": {q: float(np.quantile(found.distance, float(q))) for q in ("0.5", "0.9", "1.0")},
        "rank_correlation": float(np.median(found.rank_correlation)),
        "equal_steps": float(found.equal_steps.mean()),
    }


def _print(row: Row, rows: list[Row]) -> None:
    same = {r["side"]: r for r in rows if (r["images"], r["method"]) == (row["images"], row["method"])}
    median = statistics.median(row["seconds"])
    rate = row["images"] / median
    base = same.get("best eager float32") or same.get("Captum float32")
    ratio = ""
    if base is not None:
        against = base["side"].removesuffix(" float32")
        ratio = f"  {statistics.median(base['seconds']) / median:6.2f} x {against}"
    outside = "" if row["outside_graph"] is None else f"  outside the graph {row['outside_graph']:.0%}"
    agreement = row["agreement"]
    apart = "" if agreement is None else f"  from float64 {agreement['distance']['0.5']:.1e}"
    what = f"{row['method']}, batch {row['images']}"
    print(
        f"  {row['side']:44}{what:34}{1e3 * median:10.2f} ms{rate:10.1f} i/s{ratio}{outside}{apart}",
        flush=True,
    )


def _write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _predicted(subject: Subject, images: npt.NDArray[np.float32], device: str) -> npt.NDArray[np.int64]:
    model = subject.module.to(device)
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(x).to(device)).argmax(1).cpu() for x in np.array_split(images, 8) if len(x)
        ]
    subject.module.cpu()
    labels: npt.NDArray[np.int64] = torch.cat(parts).numpy()
    return labels


def _bandwidth(device: str) -> dict[str, float] | None:
    try:
        from fluxpath.runtime.device.base import parse
        from fluxpath.runtime.device.cuda import cuda_device

        found = fused_bandwidth(cuda_device(parse(device)[1]))
    except Exception as error:  # as for a side
        print(f"skipped: bandwidth of the fused kernels ({error})")
        return None
    print("\nGB/s, read and written: " + ", ".join(f"{name} {rate:.0f}" for name, rate in found.items()))
    return found


def _set_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


if __name__ == "__main__":
    sys.exit(main())
