"""Reading at computed positions.

onnx.reference computes GridSample and AffineGrid in float32, and its GatherElements cannot read from more
than 64 rows.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun


class GatherElements(OpRun):
    """Elements at indices along one axis; every other axis may be shorter than in the data."""

    def _run(self, x: Any, indices: Any, axis: Any = None) -> Any:
        places = list(np.indices(indices.shape))
        places[axis or 0] = indices
        return (x[tuple(places)],)


class GridSample(OpRun):
    """Samples of an image between its pixels.

    Cubic reads four pixels an axis around the point as it is, and brings the pixels inside by the padding
    mode, as PyTorch and ONNX Runtime do; the other modes bring in the point first.
    """

    def _run(
        self, x: Any, grid: Any, mode: Any = None, padding_mode: Any = None, align_corners: Any = None
    ) -> Any:
        mode = {"bilinear": "linear", "bicubic": "cubic", None: "linear"}.get(mode, mode)
        points = grid.reshape(len(grid), -1, grid.shape[-1])[..., ::-1]
        axes = [
            _taps(points[..., i], size, mode, padding_mode or "zeros", bool(align_corners))
            for i, size in enumerate(x.shape[2:])
        ]
        image, batch = np.moveaxis(x, 1, -1), np.arange(len(x))[:, None]
        total = np.zeros((*points.shape[:2], x.shape[1]), x.dtype)
        for taps in itertools.product(*axes):
            weight = np.prod([w for _, w in taps], axis=0)
            total += weight[..., None] * image[(batch, *(index for index, _ in taps))]
        return (np.moveaxis(total, -1, 1).reshape(*x.shape[:2], *grid.shape[1:-1]).astype(x.dtype),)


def _taps(point: Any, size: int, mode: str, padding: str, align: bool) -> list[tuple[Any, Any]]:
    """The pixels that are read along one axis and their weights."""
    low, high = (0.0, size - 1.0) if align else (-0.5, size - 0.5)
    place = low + (point + 1) / 2 * (high - low)
    if mode == "nearest":
        place = np.rint(place)
    if mode != "cubic":
        place = _inside(place, size, low, high, padding)
    first = np.floor(place)
    t = place - first
    weights = {
        "nearest": [np.ones_like(t)],
        "linear": [1 - t, t],
        "cubic": [_keys(t + 1), _keys(t), _keys(1 - t), _keys(2 - t)],
    }[mode]
    taps = []
    for i, weight in enumerate(weights):
        pixel = first + i - (mode == "cubic")
        if padding == "zeros":
            weight = np.where((pixel >= 0) & (pixel < size), weight, 0.0)
        pixel = _inside(pixel, size, low, high, padding)
        taps.append((np.clip(pixel, 0, size - 1).astype(np.int64), weight))
    return taps


def _inside(place: Any, size: int, low: float, high: float, padding: str) -> Any:
    if padding == "border":
        return np.clip(place, 0, size - 1)
    if padding == "reflection" and high > low:
        flips, rest = np.divmod(np.abs(place - low), high - low)
        return low + np.where(flips % 2 == 0, rest, high - low - rest)
    return place


def _keys(distance: Any, a: float = -0.75) -> Any:
    """Keys' cubic convolution kernel."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, far)


class AffineGrid(OpRun):
    """theta times the homogeneous coordinates of every place, the last axis of the image first."""

    def _run(self, theta: Any, size: Any, align_corners: Any = None) -> Any:
        lengths = [int(n) for n in size[2:]]
        ends = [1.0 if align_corners else 1.0 - 1.0 / n for n in lengths]
        axes = [np.linspace(-end, end, n) for n, end in zip(lengths, ends, strict=True)]
        places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(lengths)], axis=-1)
        return (np.einsum("nij,...j->n...i", theta, places).astype(theta.dtype),)


OPERATORS = (GatherElements, GridSample, AffineGrid)
