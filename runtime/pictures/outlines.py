"""Lines around the regions that count most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINE, EDGE = 255.0, 0.0


def outlined(
    colours: NDArray[np.float64], strength: NDArray[np.float64], percent: float
) -> NDArray[np.float64]:
    """Colours [h,w,3] with a line around the `percent` of the pixels [h,w] whose strength is greatest.

    The line is white between black edges, so that it shows on any ground, and lies inside the region; the
    picture's border is none of it. Pixels of strength 0 are never inside. The line is 1/224 of the longer
    side wide, its edges half of that, at least one pixel each.
    """
    inside = (strength >= np.percentile(strength, 100 - percent)) & (strength > 0)
    if percent <= 0 or not inside.any():
        return colours
    width = max(1, round(max(strength.shape) / 224))
    line = inside & _grown(~inside, width)
    edge = _grown(line, max(1, width // 2))
    return np.where(line[..., None], LINE, np.where(edge[..., None], EDGE, colours))


def _grown(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Where a square of this radius around a pixel [h,w] meets the mask."""
    for axis in (0, 1):
        padded = np.pad(mask, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)])
        views = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=axis)
        mask = np.asarray(views.any(axis=-1))
    return mask
