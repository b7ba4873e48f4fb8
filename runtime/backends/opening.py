"""Opens a gradient graph's file with the backend that its suffix names, on the requested device."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

from fluxpath import archive
from fluxpath.artifact import read_manifest
from fluxpath.errors import ProviderError
from fluxpath.runtime.backends.base import GradientSession, Options
from fluxpath.runtime.backends.onnx import OnnxSession, require_providers
from fluxpath.runtime.backends.tensorrt import TENSORRT
from fluxpath.runtime.device.base import parse
from fluxpath.runtime.device.libraries import load_libraries

CPU = ("CPUExecutionProvider",)
CUDA = ("CUDAExecutionProvider", *CPU)
"""ONNX Runtime's execution providers for a GPU."""

ON_GPU = (CUDA[:1], (TENSORRT,))
"""If one of these is the first provider, the lanes live in the GPU's memory."""


def open_session(path: str | os.PathLike[str], options: Options) -> GradientSession:
    """Open the graph in the file `path`: TorchScript if it ends in ".pt", else ONNX; see `Explainer`."""
    kind, number = parse(options.device)
    script = Path(path).suffix == archive.SUFFIX
    if script and options.providers is not None:
        raise ProviderError(f"providers are ONNX Runtime's, and '{path}' is TorchScript: pass only device=")
    if kind == "auto" and options.providers is None:
        read_manifest(path)  # a bad file fails here, before another device is tried
        try:
            return open_session(path, replace(options, device="cuda"))
        except ProviderError as error:
            warnings.warn(f"device='auto' uses the CPU: {error}", RuntimeWarning, stacklevel=3)
        # ONNX Runtime has no channels_last on the CPU, so the fallback drops it.
        return open_session(
            path, replace(options, device="cpu", channels_last=options.channels_last and script)
        )
    on_gpu = kind == "cuda" if options.providers is None else options.providers[:1] in ON_GPU
    gpu = number if on_gpu else None
    if script:
        return _on_torch(path, gpu, options)
    providers = (CUDA if on_gpu else CPU) if options.providers is None else options.providers
    return _on_onnxruntime(path, gpu, replace(options, providers=providers))


def _on_torch(path: str | os.PathLike[str], gpu: int | None, options: Options) -> GradientSession:
    # The runtime imports torch only here, so TorchScript is read only from files named ".pt".
    from fluxpath.runtime.backends.torchscript import TorchScriptSession, require_cuda

    if gpu is None:
        return TorchScriptSession(path, options)
    require_cuda()
    from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
    from fluxpath.runtime.device.cuda import cuda_device

    return TorchScriptDeviceSession(path, cuda_device(gpu), options)


def _on_onnxruntime(path: str | os.PathLike[str], gpu: int | None, options: Options) -> GradientSession:
    providers = options.providers or ()
    if gpu is None and options.channels_last:
        raise ProviderError(
            f"ONNX Runtime can compute in channels_last order only on a GPU, with {CUDA[0]}: leave it out, "
            "or export the model as .pt"
        )
    if gpu is None:
        return OnnxSession(path, providers, options.threads)
    load_libraries(require_providers(providers))
    from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
    from fluxpath.runtime.device.cuda import cuda_device

    return OnnxDeviceSession(path, cuda_device(gpu), options)
