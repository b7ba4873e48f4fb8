"""What the engine needs of a backend, and how one is opened."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fluxpath.baseline import unpack_baseline
from fluxpath.manifest import Manifest
from fluxpath.runtime.lanes import Companions, Lanes
from fluxpath.runtime.lanes.lanes import NO_COMPANIONS

LARGEST = 256
"""The most slots that `slots="auto"` tries."""


@dataclass(frozen=True)
class Options:
    """How a gradient graph is opened; see `Explainer`, where most of these are parameters.

    most: the largest batch to expect. capture: False does not replay evaluations as CUDA graphs.
    """

    device: str = "cpu"
    providers: tuple[str, ...] | None = None
    threads: int | None = None
    tf32: bool = False
    channels_last: bool = False
    most: int = LARGEST
    capture: bool = True


DEFAULTS = Options()


class GradientSession(ABC):
    """A gradient graph that a backend runs: derive a class from it to use a backend of your own."""

    manifest: Manifest

    @property
    def output(self) -> int | None:
        """The classes in the model's own first output, float32 [batch, classes]; None if it is not that."""
        return None

    def make_lanes(self, slots: int, shape: tuple[int, ...], companions: Companions = NO_COMPANIONS) -> Lanes:
        """Arrays for so many slots, where this backend wants them: on the host.

        shape: of the explained input without the batch, with no size open.
        """
        return Lanes(slots, **self._layout(shape, companions))

    def _layout(self, shape: tuple[int, ...], companions: Companions) -> dict[str, Any]:
        """What lanes are, wherever they live."""
        manifest = self.manifest
        features = int(np.prod(shape))
        packed = manifest.baseline
        return {
            "shape": shape,
            "low": manifest.low,
            "high": manifest.high,
            "companions": companions,
            "output": self.output,
            "classes": manifest.classes,
            "baseline": None if packed is None else unpack_baseline(packed, features),
        }

    def used(self) -> int:
        """Bytes of this process in memory; 0 where the system does not tell."""
        statm = Path("/proc/self/statm")
        if not statm.exists():
            return 0
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @abstractmethod
    def bind(self, lanes: Lanes) -> None:
        """Use these arrays from now on: `point`, `target` and companions in, the graph's outputs out."""

    @abstractmethod
    def run(self, count: int) -> None:
        """Evaluate the first `count` slots."""
