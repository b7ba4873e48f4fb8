"""What a benchmark says in the end: the machine, the agreement of the sides and the table of times."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PACKAGES = ("fluxpath", "numpy", "torch", "onnxruntime", "onnx")


ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "cifar10"
"""Where the trained ResNet-20 and the CIFAR-10 images lie, beside the project."""


def arguments(name: str, doc: str | None, cifar: bool = True) -> argparse.ArgumentParser:
    """The command line of the benchmark `name`: --out, and with `cifar` the model and the images."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    if cifar:
        parser.add_argument("--model", type=Path, default=DATA / "resnet20.onnx")
        parser.add_argument("--data", type=Path, default=DATA / "images.npz")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / f"{name}.json")
    return parser


def cifar_images(path: Path) -> npt.NDArray[np.float32]:
    """The images of `--data`, float32 [n, 3, 32, 32] in [0, 1]."""
    with np.load(path) as data:
        images: npt.NDArray[np.float32] = data["images"].astype(np.float32) / 255
    return images


def head(name: str, threads: int | None = None) -> dict[str, Any]:
    """What a report begins with: the environment, and the command that made it."""
    return {
        "environment": environment(os.cpu_count() or 1 if threads is None else threads),
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
    }


def write(report: dict[str, Any], path: Path) -> None:
    """The report as JSON, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


class Neighbours:
    """How much of the cores other processes took while this one and its ended children ran (Linux)."""

    def __init__(self) -> None:
        self._start = self._now()

    def share(self) -> float | None:
        """Between 0 and 1 since the start; None where the system does not tell."""
        if self._start is None or (now := self._now()) is None:
            return None
        busy, total, own = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, busy - own) / total

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds of the cores that were busy, seconds in all, seconds that were ours."""
        if not Path("/proc/stat").is_file():
            return None
        with Path("/proc/stat").open() as file:
            fields = [int(field) / os.sysconf("SC_CLK_TCK") for field in file.readline().split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields), sum(os.times()[:4])


def environment(threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "load_average_1min": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "quartile_1": float(low), "quartile_3": float(high)}


def print_agreement(entries: Sequence[dict[str, Any]]) -> None:
    """One line a comparison."""
    print(
        "agreement          side        compared with      same steps  relative L2 distance: median, p90, max"
    )
    for e in entries:
        print(
            f"  {e['ascent']:16} {e['side']:11} {e['to']:18} {e['same_steps']:9.1%}   "
            f"{e['median']:.1e}  {e['p90']:.1e}  {e['max']:.1e}"
        )


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """Medians of the times, and of the ratios pair by pair with their quartiles."""
    sides = "".join(f"{side:>13}" for side in results[0]["seconds"])
    print(f"\n{'':24}{sides}   ratio of pairs: median (quartiles)")
    for r in results:
        single = r["kind"] == "latency"
        figures = "".join(
            f"{1e3 * s['median']:10.2f} ms" if single else f"{r['images'] / s['median']:9.1f} i/s"
            for s in r["seconds"].values()
        )
        ratios = ", ".join(
            f"{side} {s['median']:.2f} ({s['quartile_1']:.2f}-{s['quartile_3']:.2f})"
            for side, s in r["ratio"].items()
        )
        print(f"{r['kind'] + ', ' + r['ascent']:24}{figures}   {ratios}")
        print(f"{'':24}{r['pairs']} pairs; {_settings(r['settings'])}")


def _settings(settings: dict[str, dict[str, Any]]) -> str:
    return "; ".join(
        f"{side}: " + ", ".join(f"{name} {value}" for name, value in values.items())
        for side, values in settings.items()
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
