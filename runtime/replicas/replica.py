"""One process of a model, seen from the process that started it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any, Protocol

from fluxpath.errors import ClosedError
from fluxpath.runtime.engine.progress import Progress
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.replicas.messages import Answer, Call, Cancel, Ready, ReplicaError, Report, Start

_log = logging.getLogger("fluxpath.replicas")
_NUMBERS = itertools.count()
NOTHING = Stats(0, 0, 0, 0, 0, 0, 0)
PATIENCE = 5.0
"""Seconds that processes have to end, all of a model's together, before they are killed."""


class Forgets(Protocol):
    """Whoever was asked."""

    def forget(self, asked: Asked) -> None:
        """The answer to this is not wanted any more."""


class Asked(Future[Any]):
    """The future of a call. weight: how much work it is, in lanes. read: makes the result of the answer."""

    def __init__(self, weight: int, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.number = next(_NUMBERS)
        self.weight, self.read = weight, read
        self.progress = Progress(weight)
        self.replica: Forgets | None = None

    def cancel(self) -> bool:
        """Cancel here, and free the lanes there."""
        cancelled = super().cancel()
        if cancelled and self.replica is not None:
            self.replica.forget(self)
        return cancelled

    def answer(self, value: Any, error: BaseException | None) -> None:
        """End with what `read` makes of a value, or with the error."""
        try:
            self.end(None if error else self.read(value), error)
        except Exception as failed:  # of `read`
            self.end(None, failed)

    def end(self, value: Any, error: BaseException | None) -> None:
        """Set the result, unless it was cancelled."""
        with contextlib.suppress(InvalidStateError):
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)


class Replica:
    """A process, its pipe and what it was asked. lost: called, by a thread, when it has ended by itself.

    A thread writes into the pipe and another one reads from it, so whoever asks or cancels never waits for a
    process that hangs.
    """

    def __init__(self, start: Start, lost: Callable[[Replica], None]) -> None:
        self._lost = lost
        self._asked: dict[int, Asked] = {}
        self._unwanted: dict[int, int] = {}
        """Lanes of cancelled calls, until the process has answered these too."""
        self._unsent: dict[int, Call] = {}
        self._outbox: SimpleQueue[int | None] = SimpleQueue()
        """Numbers of calls to send, if they are unsent, or else to cancel; None at the end."""
        self._lock = threading.Lock()
        self._closing = False
        self.alive = False
        self.stats = NOTHING
        begin = ForkingPickler.dumps(start)  # what cannot be sent fails here, before there is a process
        self._pipe, theirs = multiprocessing.Pipe()
        # -P: modules of the current folder are not this program's.
        program = [sys.executable, "-P", "-m", "fluxpath.runtime.replicas.worker", str(theirs.fileno())]
        with theirs:
            self.process = subprocess.Popen(program, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        with contextlib.suppress(OSError):  # `ready` tells of a process that has ended
            self._pipe.send_bytes(begin)

    @property
    def load(self) -> int:
        """Lanes that were asked for and not answered yet.

        Those of a cancelled call too, until the process says that it has heard of that: one that hangs soon
        has the most to do.
        """
        with self._lock:
            wanted = sum(asked.weight - asked.progress.ended for asked in self._asked.values())
            return wanted + sum(self._unwanted.values())

    def ready(self, check: Callable[[Ready], None]) -> Ready:
        """Wait until the file is open; its error, or ReplicaError if the process ends.

        check: raises what makes it no replica, before it is asked anything.
        """
        try:
            found = self._pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Ready)
        check(found)
        self.alive = True
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True, name="fluxpath-replica").start()
        return found

    def ask(self, asked: Asked, call: Call) -> None:
        """Have a call sent. ReplicaError, if the process has ended."""
        with self._lock:
            if not self.alive:
                raise self._gone()
            self._asked[asked.number] = asked
            self._unsent[asked.number] = call
            asked.replica = self
        self._outbox.put(asked.number)

    def forget(self, asked: Asked) -> None:
        """The answer to this is not wanted any more."""
        with self._lock:
            if self._asked.pop(asked.number, None) is None:
                return
            self._unwanted[asked.number] = asked.weight - asked.progress.ended
            if self._unsent.pop(asked.number, None) is None:  # else its number, in the queue, cancels it
                self._outbox.put(asked.number)

    def end(self) -> None:
        """Tell the process to end; `close` waits until it has."""
        self._closing, self.alive = True, False
        self._shut(self._pipe)

    def _write(self) -> None:
        try:
            while (number := self._outbox.get()) is not None:
                with self._lock:
                    call = self._unsent.pop(number, None)
                self._pipe.send(Cancel(number) if call is None else call)
        except OSError:  # it has ended, as `_read` tells
            pass
        except Exception:  # no memory for the call: the process would miss it
            _log.exception("a replica cannot be asked", extra={"replica": self.process.pid})
            self._shut(self._pipe)

    def close(self, until: float | None = None) -> None:
        """End the process; one that hangs is killed at `until` (monotonic), or `PATIENCE` from now."""
        self.end()
        left = PATIENCE if until is None else until - time.monotonic()
        try:
            self.process.wait(max(0.0, left))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        try:
            while True:
                self._heard(self._pipe.recv())
        except (EOFError, OSError):
            pass
        except Exception:  # an answer that cannot be read: nothing more can be, of this process
            _log.exception("an answer of a replica cannot be read", extra={"replica": self.process.pid})
            self._shut(self._pipe)
        with contextlib.suppress(subprocess.TimeoutExpired):  # so that its exit code can be told
            self.process.wait(1)
        with self._lock:
            self.alive = False
            left, self._asked = list(self._asked.values()), {}
            self._unsent.clear()
            self._unwanted.clear()
        self._outbox.put(None)
        error = ClosedError("the explainer is closed: open another") if self._closing else self._gone()
        for asked in left:
            asked.end(None, error)
        if not self._closing:
            self._lost(self)

    def _heard(self, message: Answer | Report) -> None:
        self.stats = message.stats
        if isinstance(message, Answer):
            with self._lock:
                asked = self._asked.pop(message.number, None)
                self._unwanted.pop(message.number, None)
            if asked is not None:
                asked.answer(message.value, message.error)
            return
        now = time.monotonic()
        with self._lock:
            for number, (age, ended, steps, lanes) in message.progress.items():
                if number in self._asked:
                    progress = self._asked[number].progress
                    progress.began = None if age is None else now - age
                    progress.ended, progress.steps, progress.lanes = ended, steps, lanes

    def _gone(self) -> ReplicaError:
        code = self.process.poll()
        how = "" if code is None else f" (exit code {code})"
        return ReplicaError(f"the process that computed this has ended{how}: ask again")

    @staticmethod
    def _shut(pipe: Connection) -> None:
        """Close the pipe so that a thread that reads from it wakes up."""
        import socket

        with contextlib.suppress(OSError), socket.socket(fileno=pipe.fileno()) as both:
            try:
                both.shutdown(socket.SHUT_RDWR)
            finally:
                both.detach()
