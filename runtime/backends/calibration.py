"""Measures at load, in a second or two, how many slots suit a gradient graph on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from fluxpath.errors import InputError, OutOfMemoryError
from fluxpath.runtime.backends.base import LARGEST, GradientSession
from fluxpath.runtime.lanes import Lanes

BUDGET = 2.0
"""Seconds of evaluations after which no larger number of slots is tried.

A size's first evaluation does not count: a GPU's libraries start and plan convolutions for longer than that.
"""

RUNS = 3
"""Evaluations per number of slots."""

GAIN = 0.97
"""A larger number must bring the time per slot to this share or below to be worth its memory."""


def suitable_slots(
    session: GradientSession, lanes_of: Callable[[int], Lanes], max_memory: int | None = None
) -> int:
    """The smallest of 1, 2, 4, ... slots whose time per slot is within 3% of the best.

    lanes_of: makes the arrays for a number of slots.
    max_memory: the most bytes for arrays and activations together; the next number is tried only if twice the
        memory that the last one took stays below it. Raises InputError if one slot takes more.

    The memory taken is how much the memory in use grows during the measurement: the process's, or the
    device's if the lanes live there. Weights do not count: they were loaded before. On a device it includes
    what ONNX Runtime's arena and torch keep allocated, and what other processes and threads allocate
    meanwhile, so measure when none do. Images with many lanes later take more rows (`device.sums.SpareRows`).
    """
    start, spent = session.used(), 0.0
    times: dict[int, float] = {}
    count = 1
    while count <= LARGEST:
        best = min(times.values(), default=math.inf)
        try:
            seconds = _seconds(session, lanes_of(count), count)
        except OutOfMemoryError:
            if count == 1:
                raise
            break
        times[count], spent = seconds / count, spent + RUNS * seconds
        taken = max(0, session.used() - start)
        if max_memory is not None and taken > max_memory:
            del times[count]
            break
        slower = count > 2 and times[count] > GAIN * best
        too_long = spent > BUDGET
        if too_long or slower or (max_memory is not None and 2 * taken > max_memory):
            break
        count *= 2
    if not times:
        raise InputError(
            f"max_memory is {max_memory} bytes, and one slot of this model takes {taken}: allow more"
        )
    best = min(times.values())
    return min(count for count, seconds in times.items() if GAIN * seconds <= best)


def _seconds(session: GradientSession, lanes: Lanes, count: int) -> float:
    """Seconds for the faster of the evaluations after the first, which allocates."""
    session.bind(lanes)
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(count)
        _ = lanes.status[:1]  # waits for a device
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
