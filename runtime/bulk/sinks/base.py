"""The interface of sinks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.attribution import Attribution


class Sink(Protocol):
    """Takes the results of `Explainer.attribute_many`, one image at a time, in the source's order.

    Any object with these methods is a sink; all are called from the caller's thread. If it also has a method
    `abandon()`, that is called instead of `close` when the run breaks off.
    """

    def done(self, name: str) -> bool:
        """Whether an earlier run wrote this image completely; it is then skipped."""

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> Path | None:
        """Store an image [*shape] and its attribution (n = 1); return the image's own file, or None."""

    def close(self) -> None:
        """The source has ended: finish what was written."""
