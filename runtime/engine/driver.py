"""Decides which thread ticks the engine: a caller that waits for a result, or the background thread."""

from __future__ import annotations

import threading
from collections import deque

from fluxpath.errors import ClosedError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request


class Driver:
    """Takes requests from any thread and ticks the engine until they are done.

    A caller that waits for a result drives the engine in its own thread if no other thread does: a tick
    takes a millisecond, and handing it to another thread and back would cost a tenth of that. The background
    thread finishes the rest after that caller has its result, and all requests submitted without waiting.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._incoming: deque[Request] = deque()
        self._wake = threading.Condition()
        self._turn = threading.Lock()
        """Held by the thread that ticks."""
        self._ticking: int | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="fluxpath-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue the request and wake the background thread. Raises ClosedError."""
        self._add(request, wake=True)

    def run(self, request: Request) -> Attribution:
        """Wait for the request's result, driving the engine if no other thread does; raises its error."""
        self._add(request, wake=False)
        if self._turn.acquire(blocking=False):
            self._drive(request)
        return request.future.result()

    def close(self) -> None:
        """Stop: requests that wait or run end with ClosedError. Calling it again does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        # A done-callback runs in the thread that ticks, which must not wait for itself.
        if self._ticking != threading.get_ident():
            self._thread.join()

    def _add(self, request: Request, wake: bool) -> None:
        with self._wake:
            if self._closed:
                raise ClosedError("the explainer is closed: open another")
            self._incoming.append(request)
            if wake:
                self._wake.notify()

    def _work(self) -> None:
        """Run the background thread: sleep until there is work, wait for the turn, then do the work."""
        while True:
            with self._wake:
                while not (self._closed or self._has_work()):
                    self._wake.wait()
            self._turn.acquire()
            self._drive(None)
            if self._closed:
                return

    def _drive(self, until: Request | None) -> None:
        """Tick until `until` is over or nothing is left, then release the turn, which the caller holds."""
        self._ticking = threading.get_ident()
        try:
            while self._take() and not (until is not None and until.over):
                self._tick()
        finally:
            self._ticking = None
            self._turn.release()
            # A caller that asked for the turn just before it was released is waiting for its result.
            with self._wake:
                if self._has_work():
                    self._wake.notify()

    def _tick(self) -> None:
        try:
            self._engine.tick()
        except Exception as error:  # every waiting caller must hear of it
            self._engine.fail(error)
        except BaseException:  # an interrupt in the middle of a tick leaves lanes half advanced
            self._engine.fail(ClosedError("the thread that ran the attribution was interrupted"))
            raise

    def _take(self) -> bool:
        """Hand new requests to the engine; return whether it has anything to do."""
        if not (self._incoming or self._closed):
            return self._engine.busy
        with self._wake:
            while self._incoming:
                self._engine.add(self._incoming.popleft())
            if self._closed:
                self._engine.fail(ClosedError("the explainer was closed before the attribution was done"))
            return self._engine.busy

    def _has_work(self) -> bool:
        return bool(self._incoming) or self._engine.busy
