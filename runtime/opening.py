"""Opens a gradient graph's file with the backend that its suffix names, on the device that is asked for."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fluxpath import archive
from fluxpath.errors import ProviderError
from fluxpath.manifest import Manifest
from fluxpath.runtime.device import parse
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.session import GradientSession, OnnxSession, read_file, require_providers

CPU = ("CPUExecutionProvider",)
CUDA = ("CUDAExecutionProvider", *CPU)
"""ONNX Runtime's execution providers for a device."""


def open_session(
    path: str | os.PathLike[str],
    device: str = "cpu",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    tf32: bool = False,
) -> GradientSession:
    """The gradient graph in the file `path`: TorchScript if it ends in ".pt", else ONNX; see `Explainer`.

    device "auto" is the first GPU, or the CPU with a warning that says why.
    """
    kind, number = parse(device)
    script = Path(path).suffix == archive.SUFFIX
    if script and providers is not None:
        raise ProviderError(f"providers are ONNX Runtime's, and '{path}' is TorchScript: pass device= alone")
    if providers is not None:
        return OnnxSession(path, tuple(providers), threads)
    if kind == "auto":
        read_manifest(path)  # a bad file is no reason to look for another device
        try:
            return _on_cuda(path, script, number, threads, tf32)
        except ProviderError as error:
            warnings.warn(f"device='auto' uses the CPU: {error}", RuntimeWarning, stacklevel=3)
            kind = "cpu"
    if kind == "cuda":
        return _on_cuda(path, script, number, threads, tf32)
    return _script(path, threads) if script else OnnxSession(path, CPU, threads)


def _script(path: str | os.PathLike[str], threads: int | None) -> GradientSession:
    # Only here and below does the runtime import torch, and it reads TorchScript only where that is asked
    # for by name.
    from fluxpath.runtime.torchscript import TorchScriptSession

    return TorchScriptSession(path, "cpu", threads)


def _on_cuda(
    path: str | os.PathLike[str], script: bool, number: int, threads: int | None, tf32: bool
) -> GradientSession:
    if script:
        from fluxpath.runtime.torchscript import require_cuda

        require_cuda()
    else:
        _find_libraries(require_providers(CUDA))
    from fluxpath.runtime.cuda import cuda_device

    device = cuda_device(number)
    if script:
        from fluxpath.runtime.torchscript_device import TorchScriptDeviceSession

        return TorchScriptDeviceSession(path, device, threads, tf32=tf32)
    from fluxpath.runtime.device_session import OnnxDeviceSession

    return OnnxDeviceSession(path, device, CUDA, threads, tf32=tf32)


def _find_libraries(onnxruntime: Any) -> None:
    """Load CUDA and cuDNN from NVIDIA's packages or torch's, where no search path of the system leads."""
    preload = getattr(onnxruntime, "preload_dlls", None)  # since 1.21
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            preload()  # says what it does not find; a system's own libraries will do as well


def lanes_for(
    session: GradientSession,
    slots: int,
    shape: tuple[int, ...],
    low: float | None,
    high: float | None,
    companions: Mapping[str, tuple[tuple[int, ...], str]],
) -> Lanes:
    """Lanes where the session wants them: on its device, if it has one, else on the host."""
    device = getattr(session, "device", None)
    if device is None:
        return Lanes(slots, shape, low, high, companions, session.output, session.manifest.classes)
    from fluxpath.runtime.device_lanes import DeviceLanes

    lanes = DeviceLanes(
        device, slots, shape, low, high, companions, session.output, session.manifest.gradient
    )
    lanes.classes = session.manifest.classes
    return lanes


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """What the gradient graph in the file `path` says of itself; ArtifactError where it is not intact."""
    if Path(path).suffix == archive.SUFFIX:
        return archive.unseal(read_file(Path(path)))[1]
    return OnnxSession(path).manifest
