"""Runs the engine's ticks, in the thread that waits for a result or in the background."""

from __future__ import annotations

import threading
from collections import deque

from fluxpath.errors import ClosedError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request


class Driver:
    """Takes requests from any thread and ticks the engine until they are done.

    A thread that waits for a result drives the engine itself if no other thread does, because passing a
    millisecond's work to another thread and back costs a tenth of it. The background thread runs whatever is
    left after that, and everything that was submitted without waiting.
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
        """The request's result; drives the engine until then if no other thread does. Raises its error."""
        self._add(request, wake=False)
        if self._turn.acquire(blocking=False):
            self._drive(request)
        return request.future.result()

    def close(self) -> None:
        """End all requests that wait or run with ClosedError. May be called twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        # A done-callback that closes the explainer runs within a tick and would wait for itself.
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
        """The background thread: sleep until there is work, then take the turn and do it."""
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
            # Another thread may have queued work just too late for this thread to see it.
            with self._wake:
                if self._has_work():
                    self._wake.notify()

    def _tick(self) -> None:
        try:
            self._engine.tick()
        except Exception as error:  # the callers who wait get the error
            self._engine.fail(error)
        except BaseException:  # an interrupt amid a tick leaves lanes half-advanced
            self._engine.fail(ClosedError("the thread that ran the attribution was interrupted"))
            raise

    def _take(self) -> bool:
        """Hand new requests to the engine; returns whether there is anything to do."""
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
