"""Counts the images that wait or run, and limits them."""

from __future__ import annotations

import threading

from fluxpath.errors import QueueFullError


class Pending:
    """A thread-safe count of the images that wait or run."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def take(self, images: int, limit: int | None) -> None:
        """Add `images` to the count; raises QueueFullError if that would exceed `limit`."""
        with self._lock:
            if limit is not None and self._count + images > limit:
                raise QueueFullError(
                    f"{self._count} images are waiting already and {images} more exceed max_pending={limit}: "
                    "try again when some are done"
                )
            self._count += images

    def give_back(self, images: int) -> None:
        """Subtract `images`, which are done, from the count."""
        with self._lock:
            self._count -= images
