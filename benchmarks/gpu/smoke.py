"""First contact with a GPU: each step alone, with its whole traceback, so that a first run tells all it can.

    python -m benchmarks.gpu.smoke [--device cpu]

On a CPU the kernels run on the tests' emulated device, and the steps that ask the driver are left out.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.errors import survive
from benchmarks.gpu.exported import export
from benchmarks.gpu.models import subject
from benchmarks.gpu.place import ROOT, note
from fluxpath.manifest import GRADIENT_DTYPES
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Fresh, Lanes

PACKAGES = (
    *(
        "torch",
        "triton",
        "numpy",
        "onnx",
        "onnx-ir",
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxscript",
        "captum",
    ),
    *("cuda-core", "cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cudnn-cu13", "nvidia-cublas"),
    *("pytest", "torchvision", "timm", "nanobind"),
)


def main(given: list[str] | None = None) -> int:
    """Every step; returns how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--features", type=int, default=3 * 224 * 224, help="of the kernels' rows")
    options = parser.parse_args(given)
    faulthandler.enable()
    cuda = options.device.startswith("cuda")
    failed = int(not _step("versions", _versions))
    if cuda:
        failed += not _step("torch computes", _torch)
    else:
        print("skipped: what asks the driver, which needs a GPU")
    device: list[Device] = []
    if not _step("driver, stream, NVRTC, module" if cuda else "emulated device", lambda: _open(device, cuda)):
        return failed + 1
    failed += not _step("allocate, upload, copy, download, free", lambda: _copies(device[0]))
    failed += not _step("MFABA's kernels against the CPU's", lambda: _kernels(device[0], options.features))
    failed += not _step(
        "TorchScript against the CPU's (captured, difference)", lambda: _script(options.device)
    )
    return failed


def _step(name: str, work: Callable[[], object]) -> bool:
    start = time.perf_counter()
    try:
        found = work()
    except Exception as error:
        note("smoke", {"step": name, "error": survive(name, error)})
        return False
    took = time.perf_counter() - start
    print(f"  ok {name} {took:.2f} s {'' if found is None else found}", flush=True)
    note("smoke", {"step": name, "seconds": took, "found": repr(found)})
    return True


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _torch() -> tuple[object, ...]:
    square = torch.rand(512, 512, device="cuda")
    total = float((square @ square).sum())
    cudnn: Any = torch.backends.cudnn
    return torch.cuda.get_device_name(), torch.version.cuda, cudnn.version(), total


def _open(device: list[Device], cuda: bool) -> str:
    """The device, into the list; what code its kernels are compiled to."""
    if cuda:
        from fluxpath.runtime.device.cuda import cuda_device

        device.append(found := cuda_device(0))
        return found.arch
    sys.path.append(str(ROOT / "tests"))
    from cuda_on_cpu import HostDevice

    device.append(HostDevice())
    return "the host"


def _copies(device: Device) -> None:
    for size in (4, 250, 16384, 20000, 1 << 20):
        given, back = np.random.default_rng(size).random(size, np.float32), np.empty(size, np.float32)
        one, other = device.allocate(given.nbytes), device.allocate(given.nbytes)
        device.download(back, one)
        _demand(not back.any(), "memory does not come zeroed")
        device.upload(one, given)
        device.copy(other, one, given.nbytes)
        device.download(back, other)
        _demand(np.array_equal(given, back), f"{size} numbers did not come back")
        device.free(one)
        device.free(other)


def _kernels(device: Device, features: int) -> dict[str, float]:
    """Three steps of two lanes; the largest difference by gradient type, which is expected to be 0."""
    found = {}
    rng = np.random.default_rng(0)
    slots, image = np.array([1, 3], np.int32), rng.random(features, np.float32)
    for kind in GRADIENT_DTYPES:
        there = DeviceLanes(device, 5, (features,), 0.0, 1.0, gradient=kind)
        here = Lanes(5, (features,), 0.0, 1.0)
        for lanes in (there, here):
            lanes.fill([Fresh(1, image, 2, 0), Fresh(3, image[::-1].copy(), -1, 1)])
        for _ in range(3):
            there.gradient[:] = rng.standard_normal((5, features)).astype(np.float32)
            here.gradient[:] = np.stack([there.gradient[k] for k in range(5)])
            for lanes in (there, here):
                lanes.scale[:] = 0.5
                lanes.label[:] = lanes.target[:]
                MFABA(step_size=None).advance(lanes, slots)
        apart = [
            float(np.abs(np.asarray(getattr(there, name)[:]) - getattr(here, name)).max())
            for name in ("point", "pending", "sum", "status", "step", "target")
        ]
        found[kind] = max(apart)
        _demand(found[kind] < 2e-6, f"{kind}: the arrays are up to {max(apart):.1e} apart")
    return found


def _script(device: str) -> dict[str, tuple[bool | None, float]]:
    """Plain runs, captures and replays of a tiny file."""
    found = {}
    tiny = subject("tiny")
    images = np.random.default_rng(0).random((20, *tiny.shape)).astype(np.float32)
    for precision in ("float32", "bfloat16") if device.startswith("cuda") else ("float32",):
        with tempfile.TemporaryDirectory() as folder:
            export(tiny, f"{precision}.pt", path := Path(folder) / "tiny.grad.pt")
            with Explainer(path, device=device, slots=8) as there, Explainer(path) as here:
                for count in (20, 5, 1, 5, 1, 1, 1, 1, 1):
                    given, expected = (e.attribute(images[:count]) for e in (there, here))
                engine: Any = there._driver._engine
                captures = getattr(engine._session, "_captures", None)
        apart = np.linalg.norm(given.values - expected.values) / np.linalg.norm(expected.values)
        found[precision] = (None if captures is None else captures._allowed, float(apart))
        _demand(bool(apart < (1e-4 if precision == "float32" else 0.1)), f"{precision} is {apart:.1e} away")
    return found


def _demand(held: bool, otherwise: str) -> None:
    if not held:
        raise AssertionError(otherwise)


if __name__ == "__main__":
    raise SystemExit(main())
