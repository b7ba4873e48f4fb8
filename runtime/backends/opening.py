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
from fluxpath.artifact import read_manifest
from fluxpath.errors import ProviderError
from fluxpath.runtime.backends.calibration import LARGEST
from fluxpath.runtime.backends.onnx import GradientSession, OnnxSession, require_providers
from fluxpath.runtime.backends.tensorrt import TENSORRT
from fluxpath.runtime.device.base import parse
from fluxpath.runtime.lanes import Lanes

CPU = ("CPUExecutionProvider",)
CUDA = ("CUDAExecutionProvider", *CPU)
"""ONNX Runtime's execution providers for a device."""

ON_GPU = (CUDA[0], TENSORRT)
"""Those that work on a GPU's memory, where the lanes are then."""


def open_session(
    path: str | os.PathLike[str],
    device: str = "cpu",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    tf32: bool = False,
    most: int = LARGEST,
    channels_last: bool = False,
) -> GradientSession:
    """The gradient graph in the file `path`: TorchScript if it ends in ".pt", else ONNX; see `Explainer`.

    device "auto" is the first GPU, or the CPU with a warning that says why. most: the largest batch.
    """
    kind, number = parse(device)
    script = Path(path).suffix == archive.SUFFIX
    if script and providers is not None:
        raise ProviderError(f"providers are ONNX Runtime's, and '{path}' is TorchScript: pass device= alone")
    if providers is not None:
        if not (providers and providers[0] in ON_GPU):
            return _onnx(path, tuple(providers), threads, channels_last)
        return _on_gpu_providers(path, tuple(providers), number, threads, tf32, most, channels_last)
    if kind == "auto":
        read_manifest(path)  # a bad file is no reason to look for another device
        try:
            return _on_cuda(path, script, number, threads, tf32, channels_last)
        except ProviderError as error:
            warnings.warn(f"device='auto' uses the CPU: {error}", RuntimeWarning, stacklevel=3)
            kind = "cpu"
            channels_last = channels_last and script  # what was asked for is a GPU's choice, if there is one
    if kind == "cuda":
        return _on_cuda(path, script, number, threads, tf32, channels_last)
    if script:
        return _script(path, threads, channels_last)
    return _onnx(path, CPU, threads, channels_last)


def _onnx(
    path: str | os.PathLike[str], providers: tuple[str, ...], threads: int | None, channels_last: bool
) -> GradientSession:
    if channels_last:
        raise ProviderError(
            f"ONNX Runtime has a choice of channels_last on a GPU alone, with {CUDA[0]}: leave it out, or "
            "export the model as .pt"
        )
    return OnnxSession(path, providers, threads)


def _script(path: str | os.PathLike[str], threads: int | None, channels_last: bool) -> GradientSession:
    # Only here and below does the runtime import torch, and it reads TorchScript only where that is asked
    # for by name.
    from fluxpath.runtime.backends.torchscript import TorchScriptSession

    return TorchScriptSession(path, "cpu", threads, channels_last)


def _on_cuda(
    path: str | os.PathLike[str],
    script: bool,
    number: int,
    threads: int | None,
    tf32: bool,
    channels_last: bool,
) -> GradientSession:
    if not script:
        return _on_gpu_providers(path, CUDA, number, threads, tf32, channels_last=channels_last)
    from fluxpath.runtime.backends.torchscript import require_cuda

    require_cuda()
    from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
    from fluxpath.runtime.device.cuda import cuda_device

    device = cuda_device(number)
    return TorchScriptDeviceSession(path, device, threads, tf32=tf32, channels_last=channels_last)


def _on_gpu_providers(
    path: str | os.PathLike[str],
    providers: tuple[str, ...],
    number: int,
    threads: int | None,
    tf32: bool,
    most: int = LARGEST,
    channels_last: bool = False,
) -> GradientSession:
    _find_libraries(require_providers(providers))
    from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
    from fluxpath.runtime.device.cuda import cuda_device

    device = cuda_device(number)
    more = {"tf32": tf32, "channels_last": channels_last}
    return OnnxDeviceSession(path, device, providers, threads, most=most, **more)


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
    from fluxpath.runtime.device.lanes import DeviceLanes

    lanes = DeviceLanes(
        device, slots, shape, low, high, companions, session.output, session.manifest.gradient
    )
    lanes.classes = session.manifest.classes
    return lanes
