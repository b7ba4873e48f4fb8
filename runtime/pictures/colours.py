"""Colour maps, laid out in CIELAB so that they keep their order in grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fluxpath.checks import one_of

# Evenly spaced anchor colours (sRGB). In each the lightness L* climbs evenly, so that a reader who sees no
# hue still sees the order. "ember" goes from blue-black over violet to orange and pale yellow, "frost" over
# blue to pale cyan, both from L* 5 to 96. "polar" is for both signs: deep blue (L* 20) is against, grey (56)
# is nothing, yellow (92) is for. Blue and yellow stay apart where red and green do not.
COLORMAPS = {
    "ember": "061028 102668 46399c 9646ac e65274 fa8e40 ffc45c fff3a0",
    "frost": "051125 022b5d 184694 0368c1 0190d7 00b9ec 31e2fb bffffd",
    "polar": "00228a 0139a9 0155ba 4f6fab 83868d ca9260 fba231 ffc55f ffea57",
    "grey": "000000 ffffff",
}
# These have nothing in their middle.
DIVERGING = frozenset({"polar"})
BY_POLARITY = {"positive": "ember", "negative": "frost", "both": "polar"}


def coloured(weights: NDArray[np.floating], colormap: str) -> NDArray[np.float64]:
    """Colours float64 [..., 3] in 0..255 of signed weights [...] in [-1, 1]; InputError for an unknown map.

    A map with one end takes the magnitudes; a diverging one is -1 at its beginning and 1 at its end.
    """
    one_of("colormap", colormap, tuple(COLORMAPS))
    anchors = np.frombuffer(bytes.fromhex(COLORMAPS[colormap]), np.uint8).reshape(-1, 3)
    at = (weights + 1) / 2 if colormap in DIVERGING else np.abs(weights)
    return np.stack([np.interp(at, np.linspace(0, 1, len(anchors)), band) for band in anchors.T], axis=-1)
