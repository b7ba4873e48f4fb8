"""Operators that read at computed positions, in plain numpy, for the reference evaluator.

onnx.reference computes GridSample and AffineGrid in float32, and its GatherElements cannot read from more
than 64 rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_grid_sample


class GatherElements(OpRun):
    """Elements at indices along one axis; every other axis may be shorter than in the data."""

    def _run(self, x: Any, indices: Any, axis: Any = None) -> Any:
        places = list(np.indices(indices.shape))
        places[axis or 0] = indices
        return (x[tuple(places)],)


class GridSample(op_grid_sample.GridSample):
    """The reference's own, with coordinates in float64, the older names of the modes, and cubic with the
    padding mode border as PyTorch and ONNX Runtime have it: the pixels are clamped, the point is not."""

    def _gs_denormalize_coordinates(self, n: Any, dims: Any, align_corners: bool) -> Any:
        pairs = zip(n, dims, strict=True)
        return np.array([self._gs_denormalize(v, d, align_corners) for v, d in pairs], np.float64)

    def _prepare_border(self, dims: Any, align_corners: bool) -> Any:
        border = super()._prepare_border(dims, align_corners)
        return np.where(border > 0, np.inf, -np.inf) if self._unclamped else border

    def _run(self, x: Any, grid: Any, mode: Any = None, padding_mode: Any = None, **attributes: Any) -> Any:
        mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
        self._unclamped = (mode, padding_mode) == ("cubic", "border")
        return super()._run(x, grid, mode, padding_mode, **attributes)


class AffineGrid(OpRun):
    """theta times the homogeneous coordinates of every place, the last axis of the image first."""

    def _run(self, theta: Any, size: Any, align_corners: Any = None) -> Any:
        lengths = [int(n) for n in size[2:]]
        ends = [1.0 if align_corners else 1.0 - 1.0 / n for n in lengths]
        axes = [np.linspace(-end, end, n) for n, end in zip(lengths, ends, strict=True)]
        places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(lengths)], axis=-1)
        return (np.einsum("nij,...j->n...i", theta, places).astype(theta.dtype),)


ALL = [GatherElements, GridSample, AffineGrid]
