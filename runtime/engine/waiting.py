"""The requests that wait for slots, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fluxpath.runtime.engine.request import Lane, Request


class Waiting:
    """Requests take turns at free slots, one lane each, in the order in which they came.

    So a request's first lane waits for no more slots to become free than there are requests before it,
    however many lanes these have.
    """

    def __init__(self) -> None:
        self._queue: deque[Request] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._queue)

    def add(self, request: Request, soon: bool = False) -> None:
        """Queue `request`, at the front where it waited its turn already; nothing if it is in the queue."""
        if request.queued:
            return
        request.queued = True
        if soon:
            self._queue.appendleft(request)
        else:
            self._queue.append(request)

    def next_lane(self) -> Lane | None:
        """The next lane to run, or None where no request has one ready now."""
        while self._queue:
            request = self._queue.popleft()
            lane = None if request.over else request.next_lane()
            if lane is not None:
                self._queue.append(request)
                return lane
            # It is over, has no lane left, or waits for a probe, whose end queues the request again.
            request.queued = False
            request.acknowledge()
        return None

    def clear(self) -> list[Request]:
        """Take all requests out."""
        requests = list(self._queue)
        self._queue.clear()
        for request in requests:
            request.queued = False
        return requests
