"""How far a request has come, for whoever holds its future."""

from __future__ import annotations

import time


class Progress:
    """Counts of one request, which the engine's thread writes and anyone may read.

    lanes: how many lanes there are in all. ended: how many of them have ended. steps: the steps that those
    took. began: the `time.monotonic()` at which the first lane got its slot, None before.
    """

    __slots__ = ("began", "ended", "lanes", "steps")

    def __init__(self, lanes: int) -> None:
        self.lanes, self.ended, self.steps = lanes, 0, 0
        self.began: float | None = None

    def begin(self) -> None:
        """Note that the first lane begins."""
        self.began = time.monotonic()

    def add(self, steps: int) -> None:
        """Count a lane that has ended after so many steps."""
        self.ended += 1
        self.steps += steps
