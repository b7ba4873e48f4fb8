"""On what a run was computed."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import fluxpath
from fluxpath.machine import cores, installed, processor, system
from fluxpath.manifest import Manifest

PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "pillow")


def machine(device: str) -> dict[str, str]:
    """The processor, its cores, the memory, the system, and the device that the model runs on, in words."""
    found = {
        "processor": processor(),
        "cores": str(cores()),
        "memory": _memory(),
        "system": system(),
        "device": device,
    }
    return {name: value for name, value in found.items() if value}


def versions() -> dict[str, str]:
    """Of fluxpath, Python and the packages that compute, as far as they are installed."""
    found = {"fluxpath": fluxpath.__version__, "Python": platform.python_version()}
    told = {package: installed(package) for package in PACKAGES}
    return found | {package: number for package, number in told.items() if number is not None}


def model(manifest: Manifest) -> dict[str, str]:
    """What the file says of the model, in words."""
    given = {
        "source": manifest.source,
        "objective": manifest.objective,
        "input": f"{list(manifest.shape)}, {_range(manifest)}",
        "classes": str(manifest.classes),
        "photos": "" if manifest.preprocessing is None else str(manifest.preprocessing),
        "precision": manifest.precision,
        "rules": manifest.rules,
        "producer": manifest.producer,
    }
    return {name: value for name, value in given.items() if value}


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _range(manifest: Manifest) -> str:
    low, high = manifest.low, manifest.high
    return "of any value" if low is None and high is None else f"from {low} to {high}"


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return ""
    return f"{size / 2**30:.0f} GiB"
