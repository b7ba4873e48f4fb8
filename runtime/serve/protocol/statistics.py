"""Counts of a model's requests, as Triton's statistics have them, and a record of each request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PHASES = ("decode", "queue", "compute", "encode")


@dataclass
class Record:
    """What one request was and how long it took, in seconds by phase."""

    model: str
    version: str = ""
    id: str = ""
    method: str = ""
    images: int = 0
    steps: int = 0
    reason: str | None = None
    """Why it was refused or failed; None for an answer."""
    began: float = field(default_factory=time.monotonic)
    took: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block to the phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - began


@dataclass
class Duration:
    """How often, and how many nanoseconds together."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.count += 1
        self.ns += int(seconds * 1e9)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter((("count", self.count), ("ns", self.ns)))


_TRITONS = {
    "decode": "compute_input",
    "queue": "queue",
    "compute": "compute_infer",
    "encode": "compute_output",
}


class Statistics:
    """A model version's counts since it was loaded."""

    def __init__(self) -> None:
        self.images = self.executions = self.last = 0
        self.durations = {name: Duration() for name in ("success", "fail", *_TRITONS.values())}

    def add(self, record: Record) -> None:
        """Count a request that has ended."""
        self.durations["success" if record.reason is None else "fail"].add(record.took)
        if record.reason is not None:
            return
        self.images += record.images
        self.executions += 1
        self.last = int(time.time() * 1000)
        for phase, name in _TRITONS.items():
            self.durations[name].add(record.phases.get(phase, 0.0))

    def told(self, name: str, version: str) -> dict[str, Any]:
        """The entry of `v2/models/NAME/stats`."""
        return {
            "name": name,
            "version": version,
            "last_inference": self.last,
            "inference_count": self.images,
            "execution_count": self.executions,
            "inference_stats": {name: dict(duration) for name, duration in self.durations.items()},
            "batch_stats": [],
        }
