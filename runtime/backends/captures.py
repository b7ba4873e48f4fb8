"""Which evaluations on a device are replayed as one captured graph, and at which batch size.

A gradient graph is hundreds of small launches; captured once, it is one. A capture holds for one batch size,
so only a few sizes are captured, the buckets: powers of two, three quarters of them, and all slots. Another
number of slots is rounded up to the next bucket, by less than half. What the further slots hold is evaluated
and never looked at: the engine advances and retires the slots that it asked for, and no others.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter

_log = logging.getLogger("fluxpath")

PLAIN_RUNS = 3
"""A bucket runs so often without a capture, which costs several evaluations: it must recur to be worth it."""

PLAIN_RUNS_OF_NEW_SIZES = 1
"""So often where a plain run at another batch size than the last one is what costs most."""


def bucket(count: int, slots: int) -> int:
    """The smallest batch size that is captured and has room for `count` of `slots` slots."""
    power = 1 << (count - 1).bit_length()
    three_quarters = power * 3 // 4
    return min(slots, three_quarters if power > 2 and three_quarters >= count else power)


class Captures:
    """Decides for each evaluation: at which batch size, and as which captured graph, if any.

    allowed: False never captures. per_thread: the backend keeps a capture for the thread that made it alone.
    rounded: the backend prepares itself anew whenever the batch size is not the last one's, so that runs
    without a capture are rounded up as well, and there are few of them.
    """

    def __init__(self, allowed: bool = True, per_thread: bool = False, rounded: bool = False) -> None:
        self._allowed = allowed
        self._per_thread = per_thread
        self._rounded = rounded
        self.plain_runs = PLAIN_RUNS_OF_NEW_SIZES if rounded else PLAIN_RUNS
        self._numbers = itertools.count(1)
        self.bind(1)

    def bind(self, slots: int) -> None:
        """Lanes in other memory: what was captured is for the former, and its numbers are not used again."""
        self._slots = slots
        self._runs: Counter[tuple[int, int]] = Counter()
        self._ids: dict[int, int] = {}

    def choose(self, count: int) -> tuple[int, int | None]:
        """The batch size that runs `count` slots, and the number of the graph; None to run without one."""
        size = bucket(count, self._slots)
        plain = size if self._rounded else count
        if not self._allowed:
            return plain, None
        key = (threading.get_ident() if self._per_thread else 0, size)
        self._runs[key] += 1
        if self._runs[key] <= self.plain_runs:
            return plain, None
        if size not in self._ids:
            self._ids[size] = next(self._numbers)
        return size, self._ids[size]

    def give_up(self, reason: str) -> None:
        """Go on without captures, and say why once."""
        if self._allowed:
            _log.warning("evaluations are not captured as CUDA graphs: %s", reason)
        self._allowed = False
