"""The engine's thread: the only one that ticks."""

from __future__ import annotations

import atexit
import os
import threading
from queue import SimpleQueue

from fluxpath.errors import ClosedError, FluxpathError
from fluxpath.runtime.engine.calls import Calls
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.pending import Pending
from fluxpath.runtime.engine.request import Request

_open: set[Loop] = set()
"""Those whose thread runs: it must end before the interpreter is torn down around it."""


class Loop:
    """Ticks the engine in a thread of its own while there is work.

    No exception of a signal handler reaches this thread, since Python runs handlers in the main thread. It
    runs no code of callers but methods, sessions and collectors, and holds nothing of theirs: it ends at
    `close`, or after `let_go` when the last request is done.
    """

    def __init__(self, engine: Engine, pending: Pending) -> None:
        self.engine, self.calls = engine, Calls()
        self.closed: str | None = None
        """Why no request is taken any more."""
        self._pending = pending
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._released = False
        self._thread = threading.Thread(target=self._work, name="fluxpath-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        _open.add(self)
        try:
            self._thread.start()
        except RuntimeError as error:
            _open.discard(self)
            raise FluxpathError(f"the system gives no thread to the explainer: {error}") from error

    def put(self, request: Request) -> None:
        """Hand over a request; ClosedError if it comes too late."""
        request.future.calls, request.future.engine = self.calls, self._thread.ident or 0
        self._pending.take(request.future, len(request.images))
        self._inbox.put(request)
        # Last: whoever closes ends the requests that came before, and those that come after see it here.
        self.check()

    def check(self) -> None:
        """Raise ClosedError unless requests are taken."""
        if self.closed is not None:
            raise ClosedError(self.closed)

    def let_go(self) -> None:
        """Have the thread end when nothing is left to do; no request will come."""
        self._released = True
        self._inbox.put(None)

    def close(self, reason: str) -> None:
        """Have the thread end after this tick; the requests that are not done fail."""
        if self.closed is None:
            self.closed = reason
        self._inbox.put(None)

    def join(self) -> None:
        """Wait until the thread has ended; does nothing in the thread itself."""
        if self._thread is not threading.current_thread():
            self._thread.join()

    def abandon(self) -> None:
        """Close in a forked process, in which the thread does not run."""
        self.closed = (
            "the explainer was opened in the process from which this one was forked, and the engine's thread "
            "stayed there: open another in this process"
        )
        self._pending.abandon(ClosedError(self.closed))

    def _work(self) -> None:
        try:
            while self._take():
                self._tick()
        finally:
            self._end()

    def _take(self) -> bool:
        """Take the requests that came, and wait for one if there is nothing to do; False to end."""
        engine, inbox = self.engine, self._inbox
        while self.closed is None:
            came = not inbox.empty()
            if not came and engine.busy:
                return True
            if not came and self._released:
                return False
            request = inbox.get()
            if request is not None:
                engine.add(request)
        return False

    def _tick(self) -> None:
        try:
            self.engine.tick()
        except BaseException as error:  # every waiting caller must hear of it
            self.engine.fail(error)

    def _end(self) -> None:
        if self.closed is None:
            self.closed = "the explainer was let go: open another"
        error = ClosedError("the explainer was closed before the attribution was done")
        try:
            self.engine.fail(error)
        finally:
            for future in self._pending.futures():  # also those that were not taken
                future.settle(error=error)
            self.calls.end()
            _open.discard(self)


def _at_exit() -> None:
    loops = tuple(_open)
    for loop in loops:
        loop.close("the interpreter exits")
    for loop in loops:
        loop.join()


def _after_fork() -> None:
    for loop in tuple(_open):
        loop.abandon()
    _open.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
