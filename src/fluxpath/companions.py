"""Default values for a model's further inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.manifest import Manifest

OPEN_SIZE = 32
"""What stands in for a size that the model leaves open."""


def fillers_for(manifest: Manifest, n: int, open_size: int = OPEN_SIZE) -> dict[str, npt.NDArray[Any]]:
    """Values [n, ...] for each further input: ones, which is what an attention mask over a whole text holds.

    Zeros where the manifest says so: of a table with one row, one is no index.
    """
    return {
        c.name: np.full((n, *(open_size if d is None else d for d in c.shape)), c.fill, c.dtype)
        for c in manifest.companions
    }
