"""How far the decision boundary is, were the network linear: the unit of lengths that are "auto".

`kernels/include/fluxpath/reach.h` says what is computed; here it is a part of the graph, and once more in
numpy.
"""

from __future__ import annotations

import numpy as np

from fluxpath.export.whole_method.base import Float64, Tick
from fluxpath.export.whole_method.expression import Expr, where
from fluxpath.methods import ITSELF, LOG_PROBABILITY, kind_of

REACH = "reach"
"""State: the reach of each image, from the first evaluation on."""

_LEAST, _MOST, _FARTHEST, _TINY = 0.5, 87.0, 1e37, 1.2e-38


def reach_in(tick: Tick, signs: bool) -> Expr:
    """[batch]: what the first evaluation gives, and the state later."""
    norm = tick.unit.abs().total() if signs else tick.unit.squares().sqrt()
    # Two divisions, because the norm of a gradient of 1e-42 or 1e38 is none in float32.
    far = (_log_odds(tick).clamp(_LEAST, _MOST) / norm / tick.largest).least(_FARTHEST)
    return where(tick.number.equals(0), where(tick.zero, 0.0, far), tick.state[REACH])


def _log_odds(tick: Tick) -> Expr:
    kind = kind_of(tick.objective)
    if kind == ITSELF:
        return tick.score
    if kind == LOG_PROBABILITY:  # its scale is e / (1 + e)
        s = tick.scale.clamp(_TINY, 0.999)
        return ((1.0 - s) / s).log()
    s = tick.scale.clamp(_TINY, 0.25)
    e = 2.0 * s / (1.0 - 2.0 * s + (1.0 - 4.0 * s).sqrt())
    return where(tick.score < 0.5, e.log(), -e.log())


def reach_at(objective: str, gradient: Float64, scale: float, score: float, signs: bool) -> float:
    """The same in float64, for verification."""
    norm = float(np.abs(gradient).sum() if signs else np.linalg.norm(gradient.ravel()))
    if not 0 < norm < np.inf:
        return 0.0
    kind = kind_of(objective)
    if kind == ITSELF:
        odds = score
    elif kind == LOG_PROBABILITY:
        odds = float(np.log((1 - min(scale, 0.999)) / max(scale, _TINY)))
    else:
        s = min(max(scale, _TINY), 0.25)
        odds = -float(np.log(2 * s / (1 - 2 * s + np.sqrt(1 - 4 * s))))
        odds = -odds if score < 0.5 else odds
    return min(min(max(odds, _LEAST), _MOST) / norm, _FARTHEST)
