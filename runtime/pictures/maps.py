"""Attributions as importance maps: channels joined, smoothed, clipped at percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fluxpath.arrays import as_array
from fluxpath.checks import need, one_of
from fluxpath.runtime.pictures.drawing import CHANNELS, Channels, Drawing, as_drawing


def normalize(
    values: NDArray[Any], low: float = 80.0, high: float = 99.0, *, channels: Channels = "sum"
) -> NDArray[np.float32]:
    """Attributions [c,h,w] or [h,w], real numbers, as an importance map float32 [h,w] in [0,1].

    `channels` says how channels are joined first. "sum" (default) gives the map of AGI's code (which takes
    the mean) and keeps the methods' meaning: attributions sum to a change of the score, so evidence for and
    against cancels in a pixel. "abs" sums magnitudes, for evidence of either sign; "max" takes the largest.
    Then, as in appendix A.1 of NeFLAG (Li et al., IJCAI 2023; after AGI), values below the `low` percentile q
    become q, values above the `high` percentile u become u, and [q,u] maps linearly to [0,1]. There is no cut
    at zero: by default only the strongest fifth rises above 0. If over `high` percent of a map equal q, u is
    the maximum, so that a single important pixel shows. A constant map gives zeros.
    Raises InputError for a wrong rank or dtype, no pixels, NaN or infinity, wrong percentiles or `channels`.
    """
    need(0 <= low < high <= 100, f"percentiles must satisfy 0 <= low < high <= 100, got {low} and {high}")
    return np.asarray(_between(_joined(values, channels), low, high), np.float32)


def evidence(values: NDArray[Any], drawing: Drawing) -> NDArray[np.float64]:
    """Attributions [c,h,w] or [h,w] joined, smoothed and of the signs that are shown, as float64 [h,w].

    Its scale has no meaning. Raises InputError as `normalize` does.
    """
    drawing = as_drawing(drawing)
    flat = _joined(values, drawing.channels)
    flat = smoothed(flat, drawing.sigma(*flat.shape))
    if drawing.polarity == "both":
        return flat
    return np.maximum(flat, 0) if drawing.polarity == "positive" else np.minimum(flat, 0)


def weights(plane: NDArray[np.float64], drawing: Drawing) -> NDArray[np.float64]:
    """Evidence [h,w] as signed weights float64 [h,w] in [-1,1], as strong as it is drawn.

    Magnitudes below the lower percentile q become 0, those above the upper one u become 1, those between
    (m - q) / (u - q). If u equals q, it is the maximum.
    """
    low, high = drawing.clip_percent_lowerbound, drawing.clip_percent_upperbound
    return np.asarray(np.sign(plane) * _between(np.abs(plane), low, high))


def smoothed(plane: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A plane [h,w] as the means of its pixels under a Gaussian; at an edge, of those that are there."""
    if sigma == 0:
        return plane
    level = np.median(plane)  # rounding errors must not become structure where a map is constant
    rows, columns = (_gaussian(side, sigma) for side in plane.shape)
    return np.asarray(level + rows @ (plane - level) @ columns.T)


def _gaussian(side: int, sigma: float) -> NDArray[np.float64]:
    """The weights [side, side] with which each pixel of a line takes part in each mean."""
    place = np.arange(side, dtype=np.float64)
    weight = np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _joined(values: NDArray[Any], channels: Channels) -> NDArray[np.float64]:
    """Checked attributions as one plane float64 [h,w], scaled so that nothing later overflows."""
    array = as_array("attributions", values)
    fits = array.ndim in (2, 3) and array.size and array.dtype.kind in "fiu"
    need(fits, f"attributions must be real numbers [c,h,w] or [h,w], got {array.dtype} {list(array.shape)}")
    need(np.isfinite(array).all(), "attributions must be finite, got NaN or infinity")
    one_of("channels", channels, CHANNELS)
    stack = array.astype(np.float64).reshape(-1, *array.shape[-2:])
    stack /= np.abs(stack).max() or 1.0
    stack = np.abs(stack) if channels == "abs" else stack
    return np.asarray(stack.max(axis=0) if channels == "max" else stack.sum(axis=0))


def _between(plane: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """A plane from its percentile `low` (0) to its percentile `high` (1), clipped."""
    q, u = np.percentile(plane, (low, high))
    u = u if u > q else plane.max()
    return np.asarray((np.clip(plane, q, u) - q) / (u - q) if u > q else np.zeros_like(plane))
