"""The gradient graph as AOTInductor packages: how they are built, and a session that runs them.

It is the program that TorchScript gets, so a package goes behind the session of the TorchScript file: that
one's manifest, the lanes' own memory, the device's stream and CUDA graphs.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from benchmarks.gpu.models import Subject
from fluxpath.export.settings import Settings
from fluxpath.export.torch_module.subject import evaluating, subject_of
from fluxpath.export.torch_module.trace import traced
from fluxpath.runtime.backends.base import DEFAULTS, Options
from fluxpath.runtime.backends.torchscript import TorchScriptSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession

ANY = 0
"""In the place of a batch size: the package takes every one."""

Package = Callable[..., Mapping[str, torch.Tensor]]


def build(subject: Subject, path: Path, device: str, precision: str, batch: int = ANY) -> None:
    """Write the package for batches of this size; says how long that took. Raises what torch raises.

    It needs a C++ compiler and, for a GPU, Triton and CUDA's headers.
    """
    start = time.perf_counter()
    if device.startswith("cuda"):
        _find_headers()
    exported = program(subject, device, precision, batch)
    try:
        torch._inductor.aoti_compile_and_package(exported, package_path=str(path))
    except Exception as error:
        raise RuntimeError(_complaint(error)) from error
    what = f"batches of {batch}" if batch else "any batch"
    seconds, size_mb = time.perf_counter() - start, path.stat().st_size / 1e6
    print(
        f"  AOTInductor package {precision}, {what}: built in {seconds:.0f} s, {size_mb:.1f} MB", flush=True
    )


def program(subject: Subject, device: str, precision: str, batch: int = ANY) -> torch.export.ExportedProgram:
    """The gradient graph (images, targets) -> its outputs by name, on the device; batch as for `build`."""
    settings = Settings(precision=precision, gradient_dtype=precision)
    with evaluating(subject.module):
        graph = traced(subject_of(subject.module, torch.zeros(1, *subject.shape), None, None), settings)
    rows = batch or 4
    example = (torch.zeros(rows, *subject.shape), torch.zeros(rows, dtype=torch.int64))
    size = torch.export.Dim("batch", min=1, max=1 << 16)
    sizes = None if batch else ({0: size}, {0: size})
    exported = torch.export.export(graph, example, dynamic_shapes=sizes, strict=False)
    return move_to_device_pass(exported, device)


def session(script: Path, packages: Mapping[int, Path], device: str, tf32: bool = False) -> Any:
    """Runs the packages, by batch size, in the place of the TorchScript file `script`."""
    if not device.startswith("cuda"):
        return PackagedSession(script, packages)
    from fluxpath.runtime.device.base import parse
    from fluxpath.runtime.device.cuda import cuda_device

    return PackagedDeviceSession(script, packages, cuda_device(parse(device)[1]), Options(tf32=tf32))


class _Packaged(TorchScriptSession):
    """A TorchScriptSession with packages in its module's place.

    Where they are for certain sizes, a batch is rounded up to the next of them: the further slots' lanes are
    evaluated and never looked at, as with CUDA graphs.
    """

    _packages: Mapping[int, Package]

    def load(self, packages: Mapping[int, Path]) -> None:
        """Take these from now on."""
        number = -1 if self._device.index is None else self._device.index
        # Single-threaded: without what would keep two evaluations apart, which a capture cannot record.
        self._packages = {
            size: torch._inductor.aoti_load_package(str(path), True, number)
            for size, path in packages.items()
        }
        self._module = lambda x, target: self._packages[ANY if ANY in packages else len(x)](x, target)

    def run(self, count: int) -> None:
        """Evaluate at least the first `count` slots."""
        if ANY not in self._packages:
            count = min(size for size in self._packages if size >= count)
        super().run(count)


class PackagedSession(_Packaged):
    """On the CPU."""

    def __init__(self, script: Path, packages: Mapping[int, Path]) -> None:
        super().__init__(script)
        self.load(packages)


class PackagedDeviceSession(_Packaged, TorchScriptDeviceSession):
    """On the lanes' own memory on a device."""

    def __init__(
        self, script: Path, packages: Mapping[int, Path], device: Any, options: Options = DEFAULTS
    ) -> None:
        super().__init__(script, device, options)
        self.load(packages)


def _find_headers() -> None:
    """Where no toolkit is installed, CUDA's headers are those that torch's own packages bring."""
    from torch.utils import cpp_extension

    found = importlib.util.find_spec("nvidia") if cpp_extension.CUDA_HOME is None else None
    major = str(torch.version.cuda).partition(".")[0]
    for place in (found and found.submodule_search_locations) or ():
        folder = Path(place) / f"cu{major}"
        if (folder / "include" / "cuda.h").is_file():
            os.environ["CUDA_HOME"] = cpp_extension.CUDA_HOME = str(folder)


def _complaint(error: Exception) -> str:
    """The line of a compiler's output that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)
