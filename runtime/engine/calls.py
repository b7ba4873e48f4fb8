"""A thread for callers' own functions, so that whatever they do holds up nothing else."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

_log = logging.getLogger("concurrent.futures")
_working: set[Calls] = set()


class Calls:
    """Calls done-callbacks one at a time on a thread that starts with the first.

    What a callback raises is logged, as `concurrent.futures` does. Only threads of the engine place calls, so
    that no exception of a signal handler leaves the thread half started.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[Any], object], Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._lock = threading.Lock()

    def place(self, fn: Callable[[Any], object], future: Future[Any]) -> None:
        """Have `fn(future)` called soon."""
        self._queue.put((fn, future))
        with self._lock:
            if self._thread is None:
                self._start()

    def end(self) -> None:
        """Let the thread end once nothing is left to call."""
        self._ending = True
        self._queue.put(None)

    def finish(self) -> None:
        """Return when everything that was placed has been called; after `end`."""
        thread = self._thread
        if thread is None:
            self._work()
        elif thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        self._thread = thread = threading.Thread(target=self._work, name="fluxpath-callbacks", daemon=True)
        _working.add(self)
        try:
            thread.start()
        except RuntimeError:  # no more threads: the next callback tries again, or the end of the process
            self._thread = None

    def _work(self) -> None:
        while True:
            try:
                call = self._queue.get(block=not self._ending)
            except Empty:
                with self._lock:
                    if self._queue.empty():  # what comes from now on starts another thread
                        self._thread = None
                        _working.discard(self)
                        return
                continue
            if call is None:
                continue
            fn, future = call
            try:
                fn(future)
            except BaseException:  # also SystemExit: it would end this thread, not the process
                _log.exception("exception calling callback for %r", future)
            del call, fn, future


def _at_exit() -> None:
    """Call what is left; a thread that was in the middle of it would be stopped anywhere."""
    for calls in tuple(_working):
        calls.finish()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_working.clear)
