"""Where things lie on the machine with the GPU, and the rows of JSON that are written as they come."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.report import DATA

ROOT = Path(__file__).resolve().parents[2]
TRAVELS = ROOT / ".gpu"
"""What `prepare` makes: `common` for every stage, and ONNX Runtime in two halves."""

COMMON, HALVES = TRAVELS / "common", (TRAVELS / "onnxruntime1", TRAVELS / "onnxruntime2")

Row = dict[str, Any]


def work() -> Path:
    """The folder that outlives a stage, $FLUXPATH_GPU: packages, exported files, rows of former stages."""
    return Path(os.environ.get("FLUXPATH_GPU", "/tmp/fluxpath-gpu"))


def out() -> Path:
    """The folder that a stage's results go to, $OUT."""
    return Path(os.environ.get("OUT") or work() / "out")


def cifar(file: str) -> Path:
    """The trained ResNet-20 or the CIFAR-10 images: those that travelled, else those beside the project."""
    carried = COMMON / "cifar10" / file
    return carried if carried.exists() else DATA / file


def note(name: str, row: Row) -> None:
    """Append a row to NAME.jsonl at once, for whoever is cut off, and for later stages."""
    for folder in {out(), work() / "kept"}:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def noted(name: str) -> list[Row]:
    """Every row of this name that this machine has, from former stages too."""
    path = work() / "kept" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
