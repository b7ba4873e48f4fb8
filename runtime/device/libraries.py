"""Loads CUDA and cuDNN for ONNX Runtime from NVIDIA's packages, wherever on Python's path they are."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import re
import sys
from pathlib import Path
from typing import Any

from fluxpath.errors import first_line

_FAILED = re.compile(r"^Failed to load (\S+): ", re.MULTILINE)
"""What ONNX Runtime prints about a library."""

_CUDNN = "libcudnn.so.9"
"""ONNX Runtime says nothing where this one is missing."""


def load_libraries(onnxruntime: Any) -> list[str]:
    """Load what the CUDA provider needs, if it is not loaded yet; return the names of what was not found.

    ONNX Runtime by itself looks beside its own package and where the system has libraries. Torch and the
    packages that it brought can be in another folder of Python's path, as with an environment over another.
    """
    preload = getattr(onnxruntime, "preload_dlls", None)  # since 1.21
    if preload is None:
        return []
    major = str(getattr(onnxruntime, "cuda_version", None) or "").partition(".")[0]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            for package, kind in ((f"cu{major}", {"cudnn": False}), ("cudnn", {"cuda": False})):
                folder = _folder(package)
                if folder is not None:
                    preload(directory=str(folder), **kind)
            # What is loaded by now is found again by its name, so only this call tells what is missing.
            printed.seek(0)
            printed.truncate()
            preload()
    except Exception as error:  # the system's own libraries can do nevertheless
        return [first_line(error)]
    missing = [Path(name).name for name in _FAILED.findall(printed.getvalue())]
    return list(dict.fromkeys(missing if _loads(_CUDNN) else [*missing, _CUDNN]))


def _folder(package: str) -> Path | None:
    """The folder of libraries of NVIDIA's package `package`, the first on Python's path."""
    try:
        nvidia = importlib.util.find_spec("nvidia")
    except (ImportError, ValueError):
        return None
    roots = nvidia.submodule_search_locations if nvidia is not None else None
    folders = (Path(root) / package / "lib" for root in roots or ())
    return next((folder.resolve() for folder in folders if folder.is_dir()), None)


def _loads(name: str) -> bool:
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
