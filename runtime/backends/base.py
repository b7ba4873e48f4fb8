"""What the engine needs from a backend, and the options that a backend is opened with."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.baseline import unpack_baseline
from fluxpath.errors import FluxpathError
from fluxpath.manifest import Manifest
from fluxpath.runtime.lanes import Companions, Lanes
from fluxpath.runtime.lanes.lanes import NO_COMPANIONS

Forward = Callable[[Mapping[str, npt.NDArray[Any]]], npt.NDArray[np.float32]]
"""From the model's inputs by name, the batch first, to its logits, float32 [batch, columns] or [batch]."""

LARGEST = 256
"""The most slots that `slots="auto"` tries."""


@dataclass(frozen=True)
class Options:
    """How a gradient graph is opened; most of these are parameters of `Explainer`, which explains them.

    most: the largest batch to expect. capture: whether to replay evaluations as CUDA graphs.
    """

    device: str = "cpu"
    providers: tuple[str, ...] | None = None
    threads: int | None = None
    tf32: bool = False
    channels_last: bool = False
    most: int = LARGEST
    capture: bool = True
    trust: bool = False


DEFAULTS = Options()


class GradientSession(ABC):
    """A gradient graph that a backend runs; derive a class from it to use your own backend."""

    manifest: Manifest

    sha256: str = ""
    """SHA-256 of the file that runs, of the bytes that were read, in hexadecimal; empty without a file."""

    @property
    def output(self) -> int | None:
        """The number of classes if the model's own first output is float32 [batch, classes], else None."""
        return None

    @property
    def place(self) -> str:
        """Where the graph runs, as in "cpu" and "cuda:0", or what runs it; "" if nobody says."""
        return ""

    def make_lanes(self, slots: int, shape: tuple[int, ...], companions: Companions = NO_COMPANIONS) -> Lanes:
        """Allocate arrays where the backend needs them, here the host; `shape` has no batch, no open size."""
        return Lanes(slots, **self._layout(shape, companions))

    def _layout(self, shape: tuple[int, ...], companions: Companions) -> dict[str, Any]:
        """The arguments of `Lanes` that do not depend on where the lanes live."""
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
            "objective": manifest.objective,
            "baseline": None if packed is None else unpack_baseline(packed, features),
        }

    def forward(self) -> Forward:
        """What computes the model's logits and no gradient, from any thread; for `Explainer.predict`."""
        raise FluxpathError(
            f"{type(self).__name__} computes gradients only: predictions need a method forward() of it"
        )

    def used(self) -> int:
        """Bytes of memory that this process uses; 0 if the system does not report it."""
        statm = Path("/proc/self/statm")
        if not statm.exists():
            return 0
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @abstractmethod
    def bind(self, lanes: Lanes) -> None:
        """Use these arrays from now on: read `point`, `target` and companions, write the graph's outputs."""

    @abstractmethod
    def run(self, count: int) -> None:
        """Evaluate the first `count` slots."""
