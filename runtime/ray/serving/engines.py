"""A model on the replicas of a Ray Serve application, behind the interface of an `Explainer`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fluxpath.errors import ClosedError
from fluxpath.manifest import Manifest
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.ray.serving.engine import Answered
from fluxpath.runtime.replicas.asking import Asking
from fluxpath.runtime.replicas.messages import ReplicaError
from fluxpath.runtime.replicas.replica import Asked

_CLOSED = "the explainer is closed: open another"


class Engines(Asking):
    """Asks by a handle of the deployment of `Engine`; Ray Serve chooses the replica with less to do.

    key: of the model there. What a replica was at when it ended fails with ReplicaError. Made in the event
    loop on which the handle is used.
    """

    def __init__(
        self, handle: Any, key: str, manifest: Manifest, shape: tuple[int, ...], sha256: str, slots: int
    ) -> None:
        super().__init__(manifest, shape, sha256, slots)
        self._handle, self._key = handle, key
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._stats: dict[str, Stats] = {}
        self._closed = False

    def warmup(self, predict: bool = False) -> None:
        """As `Explainer.warmup`, of whichever replica is asked."""
        self._asked("warmup", {"predict": predict}, 1, lambda value: value).result()

    def stats(self) -> Stats:
        """Of all replicas together, as far as they have answered."""
        found = list(self._stats.values())
        names = ("evaluations", "lanes", "done", "failed", "cancelled", "images")
        return Stats(slots=self.slots, **{name: sum(getattr(one, name) for one in found) for name in names})

    @property
    def alive(self) -> int:
        """1 until it is closed: Ray Serve knows more, and waits for a replica where there is none."""
        return int(not self._closed)

    def forget(self, asked: Asked) -> None:
        """Cancel the call there."""

        def cancel() -> None:
            task = self._tasks.get(asked.number)
            if task is not None:
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def close(self) -> None:
        """Ask no more; what runs is cancelled."""
        self._closed = True
        for task in list(self._tasks.values()):
            self._loop.call_soon_threadsafe(task.cancel)

    def _asked(self, what: str, given: dict[str, Any], weight: int, read: Callable[[Any], Any]) -> Asked:
        if self._closed:
            raise ClosedError(_CLOSED)
        asked = Asked(weight, read)
        asked.replica = self
        self._loop.call_soon_threadsafe(self._begin, asked, what, given)
        return asked

    def _begin(self, asked: Asked, what: str, given: dict[str, Any]) -> None:
        if self._closed:  # since it was asked
            asked.end(None, ClosedError(_CLOSED))
        elif not asked.cancelled():
            task = self._tasks[asked.number] = self._loop.create_task(self._ask(asked, what, given))
            task.add_done_callback(lambda _: self._over(asked))

    def _over(self, asked: Asked) -> None:
        """Whichever way the task ended, also before its first step, so does the future."""
        self._tasks.pop(asked.number, None)
        asked.end(None, ClosedError(_CLOSED))

    async def _ask(self, asked: Asked, what: str, given: dict[str, Any]) -> None:
        try:
            answer = await self._answered(what, given)
        except Exception:  # Ray's, which has several for a process that is gone
            asked.end(None, ReplicaError("the process that computed this has ended: ask again"))
        else:
            self._stats[answer.replica] = answer.stats
            asked.progress.ended = asked.weight
            asked.answer(answer.value, answer.error)

    async def _answered(self, what: str, given: dict[str, Any]) -> Answered:
        response = self._handle.do.remote(self._key, what, given)
        try:
            answer: Answered = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        return answer
