"""A model in several processes: work goes to the one with the least to do."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from fluxpath.checks import whole
from fluxpath.errors import ArtifactError, ClosedError, first_line
from fluxpath.machine import cores
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.replicas.asking import Asking
from fluxpath.runtime.replicas.messages import Call, Ready, Start, packed
from fluxpath.runtime.replicas.replica import NOTHING, PATIENCE, Asked, Replica

_log = logging.getLogger("fluxpath.replicas")
MOST = 2**10
"""Processes, and threads of each."""

_LONGEST = 30.0
"""The most seconds between two tries to start a process."""


class Replicas(Asking):
    """An `Explainer` of `count` processes, with `submit`, `predict`, `prepare`, `warmup`, `stats`, `close`.

    threads: of each process's backend; None shares the cores among them. Further keywords are `Explainer`'s.

    Each process holds the model once more. What one was asked fails with ReplicaError if it ends (another
    call may go well), and another process is started in its place. Some errors that `Explainer.submit` raises
    are the future's here. Raises what opening the file raises.
    """

    def __init__(
        self, path: str | os.PathLike[str], count: int, *, threads: int | None = None, **options: Any
    ) -> None:
        whole("count", count, 1, MOST)
        if threads is not None:
            whole("threads", threads, 1, MOST)
        shared = max(1, cores() // count) if threads is None else threads
        self._start = Start(os.path.abspath(path), {"threads": shared, **options}, tuple(sys.path))
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._past: list[Stats] = []
        self._replicas: list[Replica] = []
        self._first: Ready | None = None
        try:
            for _ in range(count):
                self._replicas.append(Replica(self._start, self._lost))
            ready = [replica.ready(self._check) for replica in self._replicas]
        except BaseException:
            self.close()
            raise
        first = ready[0]
        super().__init__(first.manifest, first.shape, first.digest, sum(one.slots for one in ready))

    def warmup(self, predict: bool = False) -> None:
        """As `Explainer.warmup`, of every process."""
        asked = [Asked(1, lambda value: value) for _ in self._replicas]
        for one, replica in zip(asked, list(self._replicas), strict=True):
            replica.ask(one, Call(one.number, "warmup", packed({"predict": predict})))
        for one in asked:
            one.result()

    def stats(self) -> Stats:
        """Of all processes together, also of those that have ended."""
        with self._lock:
            found = [*self._past, *(replica.stats for replica in self._replicas)]
        names = ("evaluations", "lanes", "done", "failed", "cancelled")
        sums = {name: sum(getattr(one, name) for one in found) for name in names}
        images = sum(replica.stats.images for replica in self._replicas)
        return Stats(slots=self.slots, images=images, **sums)

    @property
    def alive(self) -> int:
        """How many processes are ready."""
        return sum(replica.alive for replica in self._replicas)

    @property
    def processes(self) -> list[int]:
        """Their numbers, as the system knows them."""
        return [replica.process.pid for replica in self._replicas]

    def close(self) -> None:
        """End all processes, within `PATIENCE` seconds together; requests that wait or run fail."""
        self._closed.set()
        with self._lock:
            replicas = list(self._replicas)
        for replica in replicas:  # all are told before one is waited for
            replica.end()
        until = time.monotonic() + PATIENCE
        for replica in replicas:
            replica.close(until)

    def _asked(self, what: str, given: dict[str, Any], weight: int, read: Callable[[Any], Any]) -> Asked:
        if self._closed.is_set():
            raise ClosedError("the explainer is closed: open another")
        asked, sent = Asked(weight, read), packed(given)
        with self._lock:
            ready = [replica for replica in self._replicas if replica.alive]
        if not ready:
            raise ClosedError("no process of this model is ready: ask again in a few seconds")
        min(ready, key=lambda replica: replica.load).ask(asked, Call(asked.number, what, sent))
        return asked

    def _lost(self, replica: Replica) -> None:
        """Start another process in the place of one that has ended; called by that one's thread."""
        _log.warning("a replica has ended", extra={"replica": replica.process.pid})
        wait = 0.1
        with self._lock:
            self._past.append(replica.stats)
            replica.stats = NOTHING
            number = self._replicas.index(replica)
        while not self._closed.wait(wait):
            began = time.monotonic()
            try:
                self._put_in_place(number)
            except Exception as error:  # also of the system, which may have no room for a process now
                _log.error("a replica does not start", extra={"error": first_line(error)})
                wait = min(_LONGEST, 2 * max(wait, time.monotonic() - began))
            else:
                return

    def _put_in_place(self, number: int) -> None:
        fresh = Replica(self._start, self._lost)
        with self._lock:
            self._replicas[number] = fresh
        if self._closed.is_set():  # `close` may not have seen this one
            fresh.close()
        try:
            fresh.ready(self._check)
        except BaseException:
            fresh.close()
            raise
        _log.warning("a replica has started", extra={"replica": fresh.process.pid})

    def _check(self, ready: Ready) -> None:
        """ArtifactError if a process opened another file than the first one."""
        self._first = self._first or ready
        if ready.digest != self._first.digest:
            raise ArtifactError(
                f"'{self._start.path}' is not the file that was opened any more: put it back, or open it anew"
            )
