"""How many images wait or run at a time."""

from __future__ import annotations

import threading

from fluxpath.errors import QueueFullError


class Pending:
    """Counts the images of an explainer that wait or run; several threads may change the count."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def take(self, images: int, limit: int | None) -> None:
        """Count `images` more; QueueFullError if that would be more than `limit`."""
        with self._lock:
            if limit is not None and self._count + images > limit:
                raise QueueFullError(
                    f"{self._count} images are waiting already and {images} more exceed max_pending={limit}: "
                    "try again when some are done"
                )
            self._count += images

    def give_back(self, images: int) -> None:
        """`images` are done."""
        with self._lock:
            self._count -= images
