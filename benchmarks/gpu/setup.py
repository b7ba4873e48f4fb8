"""What all sides share: the network, the device, the methods' settings; and what an open side is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.gpu.models import Images, Subject
from benchmarks.gpu.sides import IG, MFABAS
from fluxpath.runtime import MFABA, IntegratedGradients, Method, NeFLAG

Labels = npt.NDArray[np.int64]
Result = tuple[Images, Labels | None]
"""Attributions, and steps where they are counted."""

Explain = Callable[[Images, Labels, str], Result]
"""Images, targets and a method's name in."""


@dataclass(frozen=True)
class Setup:
    """What all sides share.

    samples: NeFLAG's lanes of an image. points: the steps of Integrated Gradients.
    """

    subject: Subject
    device: str
    max_steps: int = 20
    slots: int = 64
    samples: int = 20
    points: int = 50

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU to time."""
        return self.device.startswith("cuda")

    def method(self, name: str) -> Method:
        """The settings of fluxpath's method."""
        if name in MFABAS:
            made = MFABA.published("sharp" if name == MFABAS[0] else "smooth")
            return replace(made, rule="trapezoid", max_steps=self.max_steps)
        if name == IG:
            return IntegratedGradients(steps=self.points)
        return replace(NeFLAG.paper(), n=self.samples, max_steps=self.max_steps)
