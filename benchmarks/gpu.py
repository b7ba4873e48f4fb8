"""Times MFABA on a GPU: fluxpath by backend and precision beside eager PyTorch, compiled PyTorch and Captum.

python benchmarks/gpu.py runs the gpu tests first. Whatever is not installed is skipped with a line. On a
machine without a GPU, --device cpu --quick tries the script itself at tiny sizes; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eager
import numpy as np
import resnet20
import torch
from gpu_parts import fused_bandwidth, outside_graph
from report import environment

from fluxpath.errors import FluxpathError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import MFABA, Explainer

ROOT = Path(__file__).resolve().parents[1]
ASCENTS: tuple[eager.Ascent, ...] = ("sharp", "smooth")
Explain = Callable[[np.ndarray, np.ndarray, eager.Ascent], object]


def main() -> int:
    """Test, time, print, write."""
    options = _options()
    cuda = options.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        print("torch finds no GPU here: use --device cpu --quick to try the script")
        return 1
    tests = None
    if cuda and not options.no_tests:
        command = [sys.executable, "-m", "pytest", "-m", "gpu", str(ROOT / "tests")]
        tests = subprocess.run(command, cwd=ROOT, check=False).returncode
        print(f"gpu tests: {'passed' if tests == 0 else f'FAILED (pytest returned {tests})'}\n")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model, shape in _models(options.quick):
            images = np.random.default_rng(0).random((options.images, *shape), np.float32)
            sides = _sides(name, model, images, Path(folder), options)
            for batch in sorted({1, options.images}):
                for ascent in ASCENTS:
                    results += _compare(name, sides, images[:batch], ascent, options.rounds)
    bandwidth = fused_bandwidth(options.device) if cuda else None
    if bandwidth is None:
        print("skipped: bandwidth of the fused kernels, which needs a GPU")
    else:
        print("bandwidth in GB/s: " + ", ".join(f"{k} {v:.0f}" for k, v in bandwidth.items()))
    report = {
        "environment": {**environment(torch.get_num_threads()), "device": _device_name(options.device)},
        "command": shlex.join(["python", "benchmarks/gpu.py", *sys.argv[1:]]),
        "tests_returned": tests,
        "results": results,
        "bandwidth": bandwidth,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {options.out}")
    return int(bool(tests))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="ResNet-20, few images and steps")
    parser.add_argument("--images", type=int, help="of the throughput runs (64; quick: 2)")
    parser.add_argument("--rounds", type=int, help="5; quick: 1")
    parser.add_argument("--max-steps", type=int, help="50; quick: 2")
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu.json")
    options = parser.parse_args()
    defaults = {"images": (64, 2), "rounds": (5, 1), "max_steps": (50, 2)}
    for name, choice in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, choice[options.quick])
    return options


def _models(quick: bool) -> list[tuple[str, torch.nn.Module, tuple[int, ...]]]:
    """ResNet-20 with its weights if they are there, and a ResNet-50 with random ones: as much work."""
    models: list[tuple[str, torch.nn.Module, tuple[int, ...]]] = [("ResNet-20", resnet20.load(), (3, 32, 32))]
    if quick:
        print("skipped: ResNet-50, for --quick")
        return models
    try:
        import torchvision

        models.append(("ResNet-50", torchvision.models.resnet50(weights=None).eval(), (3, 224, 224)))
    except (ImportError, RuntimeError) as error:
        print(f"skipped: ResNet-50, which needs torchvision ({error})")
    return models


def _sides(
    name: str, model: torch.nn.Module, images: np.ndarray, folder: Path, options: argparse.Namespace
) -> dict[str, Explain]:
    """Every way of explaining that is there, "published" first."""
    device, steps, batch = options.device, options.max_steps, min(32, options.images)
    there = model.to(device)

    def loop(walk: Callable[..., object], module: torch.nn.Module, **more: Any) -> Explain:
        def explain(x: np.ndarray, targets: np.ndarray, ascent: eager.Ascent) -> object:
            with torch.device(device):  # the loops' own tensors are made there too
                given = torch.from_numpy(x).to(device), torch.from_numpy(targets).to(device)
                result: Any = walk(module, *given, ascent, max_steps=steps, **more)
                return result[0].cpu()

        return explain

    frozen = eager.fast_copy(there)
    sides = {
        "published": loop(eager.explain, there),
        "best eager": loop(eager.best_eager, frozen, batch=batch),
    }
    if device.startswith("cuda"):
        compiled: Any = torch.compile(frozen, mode="max-autotune")
        sides["compiled"] = loop(eager.best_eager, compiled, batch=batch)
    else:
        print("skipped: torch.compile, which is timed on a GPU only")
    try:
        from captum.attr import IntegratedGradients

        gradients = IntegratedGradients(frozen)

        def captum(x: np.ndarray, targets: np.ndarray, ascent: eager.Ascent) -> object:
            given = torch.from_numpy(x).to(device), torch.from_numpy(targets).to(device)
            return gradients.attribute(given[0], target=given[1], n_steps=steps, internal_batch_size=64).cpu()

        sides[f"Captum IG, {steps} points"] = captum
    except ImportError:
        print("skipped: Captum, which is not installed")
    host = copy.deepcopy(there).cpu()
    for suffix, precision in ((".onnx", "float32"), (".onnx", "float16"), (".pt", "float32")):
        side = f"fluxpath {'ONNX Runtime' if suffix == '.onnx' else 'TorchScript'} {precision}"
        path = folder / f"{name}-{precision}.grad{suffix}"
        try:
            more: dict[str, Any] = {} if precision == "float32" else {"precision": precision}
            gradient_from_torch(host, torch.zeros(1, *images.shape[1:]), path, **more)
            sides[side] = Fluxpath(Explainer(path, device=device, slots=batch), steps)
        except (FluxpathError, TypeError) as error:
            print(f"skipped: {side} ({error})")
    return sides


class Fluxpath:
    """An explainer as a side."""

    def __init__(self, explainer: Explainer, steps: int) -> None:
        self.explainer, self.steps = explainer, steps

    def __call__(self, x: np.ndarray, targets: np.ndarray, ascent: eager.Ascent) -> object:
        """MFABA of all images."""
        method = MFABA(ascent=ascent, max_steps=self.steps)
        return self.explainer.attribute(x, targets, method).values


def _compare(
    name: str, sides: dict[str, Explain], images: np.ndarray, ascent: eager.Ascent, rounds: int
) -> list[dict[str, Any]]:
    """Median seconds of every side, in turns, and what part of fluxpath's is not the gradient graph."""
    targets = np.zeros(len(images), np.int64)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, explain in sides.items():
            start = time.perf_counter()
            explain(images, targets, ascent)  # every side ends with its result on the host
            if turn:
                seconds[side].append(time.perf_counter() - start)
    print(f"{name}, {len(images)} image(s), MFABA {ascent}")
    rows = []
    base = statistics.median(seconds["best eager"])
    for side, times in seconds.items():
        median, explain = statistics.median(times), sides[side]
        share = None
        if isinstance(explain, Fluxpath):
            share = outside_graph(explain.explainer, lambda e=explain: e(images, targets, ascent))
        rate = len(images) / median
        outside = "" if share is None else f"   outside the graph {share:.0%}"
        ratio = f"   best eager / it {base / median:6.2f}"
        print(f"  {side:34}{1e3 * median:10.2f} ms {rate:9.1f} i/s{ratio}{outside}")
        rows.append(
            {
                "model": name,
                "images": len(images),
                "ascent": ascent,
                "side": side,
                "seconds": times,
                "outside_graph": share,
            }
        )
    return rows


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


if __name__ == "__main__":
    sys.exit(main())
