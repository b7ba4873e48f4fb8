"""What the figures of a run depend on: the machine, the versions, and who else used the cores."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fluxpath.machine import cores, installed, processor, system

PACKAGES = ("fluxpath", "numpy", "torch", "onnxruntime", "onnx", "captum", "openvino")

BUSY = 0.05
"""Above this share of the cores in the hands of others the figures are no use."""


def environment(threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    load = getattr(os, "getloadavg", None)  # Windows has none
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": processor(),
        "cores": cores(),
        "threads": threads,
        "load_average_1min": None if load is None else load()[0],
        "system": system(),
        "python": platform.python_version(),
        **{name: installed(name) or "not installed" for name in PACKAGES},
    }


STAT = Path("/proc/stat")
"""Where Linux says what the cores did."""


class Neighbours:
    """How much others took of the cores that this process may use, while it and its children ran (Linux)."""

    def __init__(self) -> None:
        self._start = self._now()

    def share(self) -> float | None:
        """Between 0 and 1 since the start; None where the system does not tell."""
        if self._start is None or (now := self._now()) is None:
            return None
        busy, total, own = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, busy - own) / total if total > 0 else None

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds in which those cores were busy, seconds in all, seconds that were ours."""
        if not STAT.is_file():
            return None
        names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        lines = [line.split() for line in STAT.read_text().splitlines()]
        rows = [[int(field) for field in line[1:9]] for line in lines if line and line[0] in names]
        fields = [sum(column) / os.sysconf("SC_CLK_TCK") for column in zip(*rows, strict=True)]
        return sum(fields) - fields[3] - fields[4], sum(fields), sum(os.times()[:4])


def peak_memory() -> int | None:
    """The most bytes that this process had in memory so far; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` would be the parent's if that had more
        found = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(found[0]) if found else None
    try:
        import resource
    except ImportError:
        return None
    size = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return size if platform.system() == "Darwin" else 1024 * size
