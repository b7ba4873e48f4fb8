"""Which evaluations on a device are replayed as one captured graph, and at which batch size.

A gradient graph is hundreds of small launches; once captured, it is a single one. A capture is valid for one
batch size, so only a few sizes, the buckets, are captured: powers of two, three quarters of these, and all
slots. Any other number of slots is rounded up to the next bucket, by less than half. The extra slots are
evaluated but ignored: the engine advances and retires only the slots that it asked for.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter

_log = logging.getLogger("fluxpath")

PLAIN_RUNS = 3
"""Runs of a bucket before it is captured: a capture costs several evaluations, so the size must recur."""

PLAIN_RUNS_OF_NEW_SIZES = 1
"""The same limit for backends where changing the batch size is itself costly."""


def bucket(count: int, slots: int) -> int:
    """The smallest bucket that holds `count` of `slots` slots."""
    power = 1 << (count - 1).bit_length()
    three_quarters = power * 3 // 4
    return min(slots, three_quarters if power > 2 and three_quarters >= count else power)


class Captures:
    """Chooses the batch size and the captured graph, if any, of each evaluation.

    allowed: False never captures.
    per_thread: a captured graph can be replayed only by the thread that captured it.
    rounded: the backend prepares itself anew whenever the batch size changes, so runs without a capture are
        rounded up to a bucket too, and there are few of them.
    """

    def __init__(self, allowed: bool = True, per_thread: bool = False, rounded: bool = False) -> None:
        self._allowed = allowed
        self._per_thread = per_thread
        self._rounded = rounded
        self.plain_runs = PLAIN_RUNS_OF_NEW_SIZES if rounded else PLAIN_RUNS
        self._numbers = itertools.count(1)
        self.bind(1)

    def bind(self, slots: int) -> None:
        """Start afresh for lanes in other memory: earlier captures refer to the old memory."""
        self._slots = slots
        self._runs: Counter[tuple[int, int]] = Counter()
        self._ids: dict[int, int] = {}

    def choose(self, count: int) -> tuple[int, int | None]:
        """The batch size for `count` slots, and the number of the captured graph, None to run without one."""
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
