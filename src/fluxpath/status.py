"""The reasons why a walk ends."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a walk ended, in order of severity: an image with several lanes reports the largest.

    The numbers of lanes, up to NON_FINITE, are the same as in `lanes.h`.
    """

    RUNNING = 0
    BOUNDARY = 1
    """The predicted class changed: the decision boundary was crossed."""
    NEGATIVE_FLUX = 2
    """A point with negative flux was found (NeFLAG)."""
    COMPLETE = 3
    """A walk of fixed length reached its end."""
    MAX_STEPS = 4
    """The largest number of steps was taken."""
    ZERO_GRADIENT = 5
    """The objective does not change with the input here; the attribution so far is returned."""
    NON_FINITE = 6
    """The model gave NaN or infinity; the attribution is zero."""
    UNDERFLOW = 7
    """The attribution is zero because it is too small for float32; the gradient is not zero.

    Said of an image in place of its lanes' status. The softmax probability of a prediction that is surer than
    1 - 1e-45 has such derivatives.
    """
