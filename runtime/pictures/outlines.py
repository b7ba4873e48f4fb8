"""Lines around the regions that count most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINE, EDGE = 255, 0


def outlined(colours: NDArray[np.uint8], strength: NDArray[np.floating], percent: float) -> NDArray[np.uint8]:
    """Colours uint8 [h,w,3] with a line around the `percent` of the pixels [h,w] whose strength is greatest.

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
    drawn = colours.copy()
    drawn[edge] = EDGE
    drawn[line] = LINE
    return drawn


def _grown(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Where a square of this radius around a pixel [h,w] meets the mask."""
    for _ in (0, 1):  # along the columns, then along the rows
        mask, reach = np.pad(mask, [(radius, radius), (0, 0)]), 1
        while reach < 2 * radius + 1:  # each pixel knows of the `reach` pixels that begin with it
            step = min(reach, 2 * radius + 1 - reach)
            mask, reach = mask[:-step] | mask[step:], reach + step
        mask = mask.T
    return mask
