"""Counts the images that wait or run, and limits them."""

from __future__ import annotations

import threading

from fluxpath.errors import QueueFullError
from fluxpath.runtime.engine.outcome import Outcome


class Pending:
    """The futures that are not done and how many images each has; usable from any thread.

    limit: the most images; None for any number.

    The count and the images of a future change with no call between, so no exception of a signal handler can
    come in between.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._count = 0
        self._ended = {"done": 0, "failed": 0, "cancelled": 0}
        self._uncounted: dict[Outcome, None] = {}
        """Those whose end is not counted yet."""
        self._images: dict[Outcome, int] = {}
        self._lock = threading.Lock()

    def take(self, future: Outcome, images: int) -> None:
        """Count so many images until the future is done; QueueFullError if they would exceed the limit."""
        future.pending = self
        with self._lock:
            if self._limit is not None and self._count + images > self._limit:
                raise QueueFullError(
                    f"{self._count} images are waiting already and {images} more exceed max_pending="
                    f"{self._limit}: try again when some are done"
                )
            self._images[future] = images
            self._count += images
            self._uncounted[future] = None

    def give_back(self, future: Outcome) -> None:
        """Count the future's images no more; nothing if they are not counted."""
        with self._lock:
            images = self._images.get(future)
            if images is not None:
                self._count -= images
                del self._images[future]

    def note_end(self, future: Outcome) -> None:
        """Count how the future ended, which was taken; nothing if that was counted."""
        end = future.end
        with self._lock:
            if future in self._uncounted:
                self._ended[end] += 1
                del self._uncounted[future]

    def counts(self) -> dict[str, int]:
        """The number of images that wait or run, and of futures that are done, failed and cancelled."""
        with self._lock:
            return {"images": self._count, **self._ended}

    def futures(self) -> list[Outcome]:
        """The futures that are not done."""
        return list(self._images)

    def abandon(self, error: Exception) -> None:
        """End all futures with `error` in a forked process (`Outcome.abandon`)."""
        self._lock = threading.Lock()
        for future in self.futures():
            future.abandon(error)
        self._images.clear()
        self._uncounted.clear()
        self._count = 0
