"""Decides which evaluations on a device are replayed as one captured graph, and at which batch size.

A gradient graph takes hundreds of small launches; captured, it takes one. A capture works for one batch size,
so only a few sizes are captured, the buckets: powers of two, three quarters of them, and all slots. Any other
number of slots is rounded up to the next bucket, by less than half. The extra slots are evaluated and their
results ignored: the engine advances and retires only the slots that it asked for.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter

_log = logging.getLogger("fluxpath")

PLAIN_RUNS = 3
"""Runs of a bucket before it is captured: a capture costs several evaluations, so the size must recur."""

LEAST_USED = 1 / 4
"""Where changing the batch size is costly, the last size is kept while more than this part of it is used."""


def bucket(count: int, slots: int) -> int:
    """The smallest bucket that has room for `count` of `slots` slots."""
    power = 1 << (count - 1).bit_length()
    three_quarters = power * 3 // 4
    return min(slots, three_quarters if power > 2 and three_quarters >= count else power)


class Captures:
    """Decides the batch size of each evaluation, and which captured graph runs it, if any.

    allowed: False never captures. per_thread: only the thread that made a capture can replay it.
    rounded: the backend prepares itself again whenever the batch size changes. A captured size is prepared
    only once, so every size is captured at its first run; without captures, a size is kept while it is used
    by more than `LEAST_USED`.
    """

    def __init__(self, allowed: bool = True, per_thread: bool = False, rounded: bool = False) -> None:
        self._allowed = allowed
        self._per_thread = per_thread
        self._rounded = rounded
        self._plain_runs = 0 if rounded else PLAIN_RUNS
        self._numbers = itertools.count(1)
        self.bind(1)

    def bind(self, slots: int) -> None:
        """Start over for lanes in other memory: drop all captures, and never reuse their numbers."""
        self._slots = slots
        self._runs: Counter[tuple[int, int]] = Counter()
        self._ids: dict[int, int] = {}
        self._kept = 0

    def choose(self, count: int) -> tuple[int, int | None]:
        """The batch size for `count` slots, and the number of the graph to capture or replay, or None."""
        if not self._allowed:
            return self._keep(count) if self._rounded else count, None
        size = bucket(count, self._slots)
        key = (threading.get_ident() if self._per_thread else 0, size)
        self._runs[key] += 1
        if self._runs[key] <= self._plain_runs:
            return count, None
        if size not in self._ids:
            self._ids[size] = next(self._numbers)
        return size, self._ids[size]

    def _keep(self, count: int) -> int:
        if not self._kept * LEAST_USED < count <= self._kept:
            self._kept = bucket(count, self._slots)
        return self._kept

    def forget(self) -> None:
        """Keep the last size no longer: it failed, perhaps for want of memory."""
        self._kept = 0

    def give_up(self, reason: str) -> None:
        """Stop capturing, and log the reason the first time."""
        if self._allowed:
            _log.warning("evaluations are not captured as CUDA graphs: %s", reason)
        self._allowed = False
