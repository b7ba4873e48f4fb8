"""Who ticks the engine: the thread that waits for a result, or one in the background."""

from __future__ import annotations

import threading
from collections import deque

from fluxpath.errors import ClosedError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request


class Driver:
    """Takes requests from any thread and ticks the engine until they are done.

    Whoever waits for a result drives the engine itself if nobody else does: handing a tick of a
    millisecond to another thread and the result back would cost a tenth of it. What is left when its own
    result is there, and what was submitted without waiting, is the background thread's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._incoming: deque[Request] = deque()
        self._wake = threading.Condition()
        self._turn = threading.Lock()
        """Held by the one thread that ticks."""
        self._ticking: int | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="fluxpath-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Hand the request to the background thread. Raises ClosedError."""
        self._add(request, wake=True)

    def run(self, request: Request) -> Attribution:
        """The request's result; drives the engine meanwhile if nobody does. Raises what the request does."""
        self._add(request, wake=False)
        if self._turn.acquire(blocking=False):
            self._drive(request)
        return request.future.result()

    def close(self) -> None:
        """Finish nothing more: requests that wait or run end with ClosedError. May be called twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        # A done-callback runs within a tick, and would wait for itself.
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
        """The background thread: sleep until there is work, then do it or wait for who does."""
        while True:
            with self._wake:
                while not (self._closed or self._has_work()):
                    self._wake.wait()
            self._turn.acquire()
            self._drive(None)
            if self._closed:
                return

    def _drive(self, until: Request | None) -> None:
        """Tick, with the turn taken, until `until` is over or nothing is left; then give the turn back."""
        self._ticking = threading.get_ident()
        try:
            while self._take() and not (until is not None and until.over):
                self._tick()
        finally:
            self._ticking = None
            self._turn.release()
            # Whoever came too late to get the turn, and found this thread about to leave, is waiting.
            with self._wake:
                if self._has_work():
                    self._wake.notify()

    def _tick(self) -> None:
        try:
            self._engine.tick()
        except Exception as error:  # whatever went wrong belongs to those who wait for it
            self._engine.fail(error)
        except BaseException:  # an interrupt amid a tick leaves lanes half-advanced
            self._engine.fail(ClosedError("the thread that ran the attribution was interrupted"))
            raise

    def _take(self) -> bool:
        """Hand what came in to the engine; whether there is anything to do."""
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
