"""What callers hold of the engine: requests go in here, from any thread."""

from __future__ import annotations

import weakref

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.loop import Loop
from fluxpath.runtime.engine.pending import Pending
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.engine.stats import Stats


class Driver:
    """Takes requests from any thread for the engine's own thread, its `Loop`.

    The thread does not hold the driver. When nobody does, the thread finishes what was submitted and ends,
    and the engine's memory is free.
    """

    def __init__(self, engine: Engine, pending: Pending) -> None:
        self._engine, self._pending = engine, pending
        self._loop = Loop(engine, pending)
        weakref.finalize(self, self._loop.let_go).atexit = False
        self._loop.start()

    def stats(self, slots: int) -> Stats:
        """What was done so far, in so many slots; from any thread, at any time."""
        engine = self._engine
        return Stats(slots, engine.evaluations, engine.evaluated, **self._pending.counts())

    @property
    def alive(self) -> bool:
        """Whether requests are taken."""
        return self._loop.closed is None

    def submit(self, request: Request) -> None:
        """Queue the request. Raises ClosedError, QueueFullError; whatever it raises, nothing is queued."""
        self._loop.check()
        try:
            self._loop.put(request)
        except BaseException:  # a signal handler can raise anything
            request.future.cancel()
            raise

    def run(self, request: Request) -> Attribution:
        """Queue the request and wait for its result; raises its error, or cancels it if interrupted."""
        self._loop.check()
        try:
            self._loop.put(request)
            return request.future.result()
        except BaseException:
            request.future.cancel()
            raise
        finally:
            del request  # an error's traceback holds this frame, and the request holds the error

    def close(self) -> None:
        """Stop: requests that wait or run end with ClosedError. Calling it again does nothing."""
        self._loop.close("the explainer is closed: open another")
        self._loop.join()
