"""A request's future, which the engine's thread completes without waiting for anyone."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures._base import FINISHED
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from fluxpath.errors import FluxpathError
from fluxpath.runtime.attribution import Attribution

if TYPE_CHECKING:
    from fluxpath.runtime.engine.calls import Calls
    from fluxpath.runtime.engine.pending import Pending
    from fluxpath.runtime.engine.progress import Progress

_PATIENCE = 0.05
"""Seconds for which the engine's thread waits for a future's lock, which others hold for microseconds."""


class Outcome(Future[Attribution]):
    """See `concurrent.futures.Future`; its own functions, `wait`, `as_completed` and asyncio work as usual.

    Python runs signal handlers in the main thread, between any two of its instructions. If one raises
    (Ctrl-C, an alarm), it can leave a condition or an event of the standard library locked for ever. So
    whoever waits here does so at a queue of its own, and the engine's thread waits for no lock of others.
    """

    over = False
    """Whether it is done, without a lock, since every tick asks."""
    calls: Calls | None = None
    """Where done-callbacks run; None for the thread that completes the future (no engine has it yet)."""
    pending: Pending | None = None
    """Where its images are counted until it is done."""
    progress: Progress | None = None
    """How far the request has come."""
    engine = 0
    """The identity of the engine's thread, which must not wait for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.settled = False
        """Whether the engine has done its part, which those who wait can hear of a little later."""
        self._bells: list[SimpleQueue[None]] = []
        """One for each thread that waits."""
        super().add_done_callback(_end)

    @property
    def end(self) -> str:
        """How it ended, "done", "failed" or "cancelled", without a lock."""
        if self._state != FINISHED:
            return "cancelled"
        return "done" if self._exception is None else "failed"

    def result(self, timeout: float | None = None) -> Attribution:
        """See `Future.result`."""
        try:
            self._await(timeout)
            return super().result(0)
        finally:
            del self  # as `Future.result` does: an exception's traceback would hold what holds the exception

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `Future.exception`."""
        self._await(timeout)
        return super().exception(0)

    def add_done_callback(self, fn: Callable[[Future[Attribution]], object]) -> None:
        """See `Future.add_done_callback`; `fn` is not called on the engine's thread, but on one for that."""
        super().add_done_callback(fn if self.over else functools.partial(_call, fn))

    def settle(self, result: Attribution | None = None, error: BaseException | None = None) -> None:
        """Set the result or the error, unless the future was cancelled or settled before.

        The engine's thread alone calls this. Where it might wait, another thread does the rest.
        """
        if self.settled:
            return
        self.settled = True
        self._make_room()
        if self._condition.acquire(timeout=_PATIENCE):
            try:
                if not self._waiters:  # of `wait` or `as_completed`, each with an event
                    self._set(result, error)
                    return
            finally:
                self._condition.release()
        try:
            threading.Thread(target=self._set, args=(result, error), daemon=True).start()
        except RuntimeError:  # no more threads, as while the interpreter exits
            self._set(result, error)

    def abandon(self, error: Exception) -> None:
        """End with `error` in a forked process, where the threads that may hold its locks do not exist."""
        self._condition = threading.Condition()
        self._waiters, self._done_callbacks = [], []  # type: ignore[var-annotated]
        with suppress(InvalidStateError):  # it was done
            self.set_exception(error)
        self.settled = self.over = True

    def _set(self, result: Attribution | None, error: BaseException | None) -> None:
        if not self.set_running_or_notify_cancel():
            _end(self)  # again, in case that the caller's `cancel` was interrupted
        elif error is None:
            self.set_result(result)  # type: ignore[arg-type]
        else:
            self.set_exception(error)

    def _make_room(self) -> None:
        if self.pending is not None:
            self.pending.give_back(self)

    def _await(self, timeout: float | None) -> None:
        if self.over:
            return
        if threading.get_ident() == self.engine:
            raise FluxpathError(
                "the engine's own thread, on which methods and sessions run, cannot wait for an attribution: "
                "submit it and take the result elsewhere"
            )
        bell: SimpleQueue[None] = SimpleQueue()
        self._bells.append(bell)
        try:
            if not self.over:
                bell.get(timeout=None if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        except Empty:
            pass  # `Future` says so in its own way
        finally:
            self._bells.remove(bell)


def _call(fn: Callable[[Future[Attribution]], object], future: Future[Attribution]) -> None:
    """Call `fn` here where the caller cancelled the future, else on the thread for that."""
    assert isinstance(future, Outcome)
    if future.settled and future.calls is not None:
        future.calls.place(fn, future)
    else:
        fn(future)


def _end(future: Future[Attribution]) -> None:
    """Make room for other images, and let those who wait go on; a second time changes nothing."""
    assert isinstance(future, Outcome)
    future._make_room()
    if future.pending is not None:
        future.pending.note_end(future)
    future.over = True
    for bell in tuple(future._bells):
        bell.put(None)
