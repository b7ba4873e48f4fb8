"""The process of one replica: an `Explainer` that does what comes over a pipe.

    python -m fluxpath.runtime.replicas.worker DESCRIPTOR

It ends when the pipe does. Signals are for the process that started it, which may have to finish its work.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from fluxpath.errors import ClosedError, FluxpathError, first_line
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.replicas.messages import (
    Answer,
    Call,
    Cancel,
    Explained,
    Ready,
    Report,
    Start,
    unpacked,
)
from fluxpath.runtime.walk import Recorded

REPORT = 0.05
"""Seconds between reports, while there is something to report."""

_UNWANTED = ClosedError("the call was cancelled")
"""The answer that nobody reads."""


class Worker:
    """Reads calls, and answers each, also one that was cancelled."""

    def __init__(self, explainer: Explainer, pipe: Connection) -> None:
        self._explainer, self._pipe = explainer, pipe
        self._running: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._thread = ThreadPoolExecutor(1)
        """For what blocks; explanations do not."""

    def work(self) -> None:
        """Until the other end is closed."""
        explainer = self._explainer
        self._tell(Ready(explainer.manifest, explainer.shape, explainer.slots, explainer.sha256))
        threading.Thread(target=self._report, daemon=True).start()
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                message = self._pipe.recv()
                if isinstance(message, Cancel):
                    self._cancel(message.number)
                else:
                    self._begin(message)

    def _begin(self, call: Call) -> None:
        future: Future[Any]
        try:
            given = unpacked(call.given)
            if call.what == "submit":
                future = self._explainer.submit(**given)
            else:
                future = self._thread.submit(getattr(self._explainer, call.what), **given)
        except Exception as error:
            self._answer(call.number, None, error)
            return
        with self._lock:
            self._running[call.number] = future
        method = given.get("method")
        future.add_done_callback(lambda done: self._done(call, method, done))

    def _done(self, call: Call, method: Any, future: Future[Any]) -> None:
        with self._lock:
            self._running.pop(call.number, None)
        try:
            value = future.result()
        except CancelledError:
            self._answer(call.number, None, _UNWANTED)
            return
        except Exception as error:
            self._answer(call.number, None, error)
            return
        if call.what == "submit":
            value = Explained.of(value, method if isinstance(method, Recorded) else None)
        self._answer(call.number, value, None)

    def _answer(self, number: int, value: Any, error: Exception | None) -> None:
        if error is not None and not type(error).__module__.startswith("fluxpath."):
            error = FluxpathError(f"{type(error).__name__}: {error}")  # any other may not go over a pipe
        stats = self._explainer.stats()
        try:
            self._tell(Answer(number, value, error, stats))
        except Exception as unsent:  # of a method of one's own, whatever its pickling raises
            error = FluxpathError(f"the answer cannot be sent to another process: {first_line(unsent)}")
            self._tell(Answer(number, None, error, stats))

    def _cancel(self, number: int) -> None:
        with self._lock:
            future = self._running.get(number)
        if future is not None:
            future.cancel()
        else:  # it was answered already, or never sent: whoever asked counts it until it hears of it
            self._answer(number, None, _UNWANTED)

    def _report(self) -> None:
        told = self._explainer.stats()
        while True:
            time.sleep(REPORT)
            with self._lock:
                running = dict(self._running)
            found = {number: p for number, f in running.items() if (p := getattr(f, "progress", None))}
            now = time.monotonic()
            rows = {
                number: (None if p.began is None else now - p.began, p.ended, p.steps, p.lanes)
                for number, p in found.items()
            }
            stats = self._explainer.stats()
            if running or stats != told:
                self._tell(Report(rows, stats))
                told = stats

    def _tell(self, message: Any) -> None:
        # Where nobody listens any more, this process is about to end.
        with self._writing, contextlib.suppress(OSError):
            self._pipe.send(message)


def main() -> None:
    """Open what the first message names, and work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    try:
        start: Start = pipe.recv()
    except EOFError:  # whoever started this has gone
        return
    sys.path[:] = [*sys.path, *(entry for entry in start.search if entry not in sys.path)]
    try:
        explainer = Explainer(start.path, **start.options)
    except Exception as error:
        pipe.send(error)
        return
    with explainer:
        Worker(explainer, pipe).work()


if __name__ == "__main__":
    main()
