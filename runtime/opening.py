"""Opens a gradient graph's file with the backend that its suffix names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fluxpath import archive
from fluxpath.errors import ProviderError
from fluxpath.manifest import Manifest
from fluxpath.runtime.session import GradientSession, OnnxSession, read_file

PROVIDERS = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider")}
"""ONNX Runtime's execution providers for a device."""


def open_session(
    path: str | os.PathLike[str],
    device: str = "cpu",
    providers: Sequence[str] | None = None,
    threads: int | None = None,
) -> GradientSession:
    """The gradient graph in the file `path`: TorchScript if it ends in ".pt", else ONNX; see `Explainer`."""
    if device not in PROVIDERS:
        raise ProviderError(f"device is {device!r}, it must be 'cpu' or 'cuda'")
    if Path(path).suffix != archive.SUFFIX:
        return OnnxSession(path, PROVIDERS[device] if providers is None else tuple(providers), threads)
    if providers is not None:
        raise ProviderError(f"providers are ONNX Runtime's, and '{path}' is TorchScript: pass device= alone")
    # Only here does the runtime import torch, and it reads TorchScript only where that is asked for by name.
    from fluxpath.runtime.torchscript import TorchScriptSession

    return TorchScriptSession(path, device, threads)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """What the gradient graph in the file `path` says of itself; ArtifactError where it is not intact."""
    if Path(path).suffix == archive.SUFFIX:
        return archive.unseal(read_file(Path(path)))[1]
    return OnnxSession(path).manifest
