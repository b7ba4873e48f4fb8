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


def bucket(count: int, slots: int) -> int:
    """The smallest batch size that is captured and has room for `count` of `slots` slots."""
    power = 1 << (count - 1).bit_length()
    three_quarters = power * 3 // 4
    return min(slots, three_quarters if power > 2 and three_quarters >= count else power)


class Captures:
    """Decides for each evaluation: a captured graph and its number, or none.

    allowed: False never captures. per_thread: the backend keeps a capture for the thread that made it alone.
    """

    def __init__(self, allowed: bool = True, per_thread: bool = False) -> None:
        self._allowed = allowed
        self._per_thread = per_thread
        self._numbers = itertools.count(1)
        self.bind(1)

    def bind(self, slots: int) -> None:
        """Lanes in other memory: what was captured is for the former, and its numbers are not used again."""
        self._slots = slots
        self._runs: Counter[tuple[int, int]] = Counter()
        self._ids: dict[int, int] = {}

    def choose(self, count: int) -> tuple[int, int] | None:
        """The batch size and the number of the graph that runs `count` slots; None to run them without."""
        if not self._allowed:
            return None
        size = bucket(count, self._slots)
        key = (threading.get_ident() if self._per_thread else 0, size)
        self._runs[key] += 1
        if self._runs[key] <= PLAIN_RUNS:
            return None
        if size not in self._ids:
            self._ids[size] = next(self._numbers)
        return size, self._ids[size]

    def give_up(self, reason: str) -> None:
        """Go on without captures, and say why once."""
        if self._allowed:
            _log.warning("evaluations are not captured as CUDA graphs: %s", reason)
        self._allowed = False
