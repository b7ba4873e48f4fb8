"""The queue of requests that wait for slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.engine.request import Lane, Request


class Waiting:
    """Requests take turns at free slots, one lane per turn, in the order in which they arrived.

    So a request's first lane starts after at most as many slots have become free as requests were waiting,
    however many lanes those requests have.
    """

    def __init__(self) -> None:
        self._queue: deque[Request] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._queue)

    def add(self, request: Request, soon: bool = False) -> None:
        """Queue `request` at the end, or with `soon` at the front; do nothing if it is in the queue."""
        if request.queued:
            return
        request.queued = True
        if soon:
            self._queue.appendleft(request)
        else:
            self._queue.append(request)

    def next_lane(self) -> Lane | None:
        """The next lane to run, or None if no request has one ready now."""
        while self._queue:
            request = self._queue.popleft()
            lane = None if request.over else request.next_lane()
            if lane is not None:
                self._queue.append(request)
                return lane
            # Over, or without lanes, or waiting for a lane to set the target, which queues it again.
            request.queued = False
            request.acknowledge()
        return None

    def upcoming(self, count: int) -> list[npt.NDArray[np.float32]]:
        """About the next `count` images to begin, float32 [features] each."""
        each = -(-count // max(1, len(self._queue)))
        return [image for request in self._queue for image in request.upcoming(each)][:count]

    def clear(self) -> list[Request]:
        """Remove and return all requests."""
        requests = list(self._queue)
        self._queue.clear()
        for request in requests:
            request.queued = False
        return requests
