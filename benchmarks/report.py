"""What the benchmarks share: the command line, the CIFAR-10 files, and what a report begins with."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.bench.machine import environment

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
