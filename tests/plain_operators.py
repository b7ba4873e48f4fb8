"""The operators in plain numpy that verification uses, for the checker; tests may add more to the list."""

from __future__ import annotations

from fluxpath.export.reference import OPERATORS
from fluxpath.export.reference.windows import AveragePool, Conv, ConvTranspose, Geometry, MaxPool, Pad

ALL = list(OPERATORS)

__all__ = ["ALL", "AveragePool", "Conv", "ConvTranspose", "Geometry", "MaxPool", "Pad"]
