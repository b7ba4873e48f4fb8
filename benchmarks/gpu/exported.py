"""Gradient graphs of the networks, written before they are timed: on the CPU, in the background.

python -m benchmarks.gpu.exported ResNet-50 bfloat16.pt float32.onnx
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import torch

from benchmarks.gpu.errors import brief
from benchmarks.gpu.models import NAMES, Subject, subject
from benchmarks.gpu.place import COMMON, work
from fluxpath.export import gradient_from_torch


def graph_path(model: str, kind: str) -> Path:
    """Where the file of a kind such as "bfloat16.pt" or "float32.onnx" is, or will be."""
    precision, _, suffix = kind.partition(".")
    name = f"{model.replace('/', '-')}-{precision}.grad.{suffix}"
    carried = COMMON / "graphs" / name
    return carried if carried.exists() else work() / "graphs" / name


def wait_for(model: str, kind: str, seconds: float) -> Path:
    """The file, once it has been exported; FileNotFoundError if that failed, or after so long."""
    end = time.monotonic() + seconds
    while not (path := graph_path(model, kind)).exists():
        if (failed := path.with_suffix(".failed")).exists():
            raise FileNotFoundError(f"{path.name}: {failed.read_text()}")
        if time.monotonic() > end:
            raise FileNotFoundError(f"{path.name}: its export is not done")
        time.sleep(0.2)
    return path


def export(subject: Subject, kind: str, path: Path) -> None:
    """Write the file, under another name until it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"half-{path.name}")
    precision = kind.partition(".")[0]
    example = torch.zeros(1, *subject.shape)
    gradient_from_torch(subject.module, example, half, precision=precision, gradient_dtype=precision)
    half.rename(path)


def main(given: list[str] | None = None) -> int:
    """Export what is not there yet; says how long each file took, and returns how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("kinds", nargs="+", help="such as float32.pt or float16.onnx")
    parser.add_argument("--folder", type=Path, help="where to (default: where the sides look)")
    options = parser.parse_args(given)
    torch.set_num_threads(3)
    warnings.simplefilter("ignore")
    found, failed = subject(options.model), 0
    for kind in options.kinds:
        path = graph_path(options.model, kind)
        path = path if options.folder is None else options.folder / path.name
        if path.exists():
            continue
        start = time.monotonic()
        try:
            export(found, kind, path)
            print(f"exported {path.name} in {time.monotonic() - start:.0f} s", flush=True)
        except Exception as error:  # one file that cannot be written must not cost the others
            failed += 1
            path.with_suffix(".failed").write_text(brief(error))
            print(f"not exported: {path.name} ({error})", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
