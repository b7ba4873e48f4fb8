"""Why an attribution ended, as the file's `status` output says it."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The numbers are those of `kernels/include/fluxpath/lanes.h`."""

    RUNNING = 0
    BOUNDARY = 1
    NEGATIVE_FLUX = 2
    COMPLETE = 3
    MAX_STEPS = 4
    ZERO_GRADIENT = 5
    NON_FINITE = 6
