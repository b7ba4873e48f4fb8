"""One replica of a Ray Serve application: an engine for each model that it holds."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fluxpath.errors import ArtifactError, ClosedError, FluxpathError
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.replicas.messages import Explained
from fluxpath.runtime.walk import Recorded


@dataclass(frozen=True)
class Answered:
    """What came of a call, or the error; of which replica, and what that has done by now."""

    value: Any
    error: Exception | None
    replica: str
    stats: Stats


class Held:
    """An open model, closed when it is put away and its last request has ended."""

    def __init__(self, explainer: Explainer) -> None:
        self.explainer = explainer
        self._lock = threading.Lock()
        self._used, self._away = 0, False

    def __enter__(self) -> Explainer:
        with self._lock:
            self._used += 1
        return self.explainer

    @property
    def broken(self) -> bool:
        """Whether it takes no requests, though nobody has put it away."""
        return not (self._away or self.explainer.alive)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._used -= 1
            last = self._away and not self._used
        if last:
            self.explainer.close()

    def __del__(self) -> None:  # Ray Serve calls it, in a thread, when it puts a model away
        with self._lock:
            self._away = True
            unused = not self._used
        if unused:
            self.explainer.close()


class Engine:
    """Answers calls.

    models: each file and its `Explainer.sha256`, by name and version. options: of `Explainer`. most: open at
    a time.
    """

    def __init__(self, models: Mapping[str, tuple[str, str]], options: Mapping[str, Any], most: int) -> None:
        from ray import serve

        self._models, self._options = models, options
        self._replica = serve.get_replica_context().replica_id.unique_id
        self._all = None
        self._held: weakref.WeakSet[Held] = weakref.WeakSet()
        if most >= len(models):  # nothing is ever put away
            self._all = {key: self._opened(key) for key in models}
            self._held.update(self._all.values())

        async def load(key: str) -> Held:  # Ray Serve takes no bound method
            held = await asyncio.to_thread(self._opened, key)
            self._held.add(held)
            return held

        self._load = serve.multiplexed(load, max_num_models_per_replica=most)

    async def do(self, key: str, what: str, given: dict[str, Any]) -> Answered:
        """Do `what`, as an `Explainer` does it; cancelling frees the lanes."""
        stats = Stats(0, 0, 0, 0, 0, 0, 0)
        try:
            held = await self._load(key) if self._all is None else self._all[key]
            with held as explainer:
                try:
                    value = await self._done(explainer, what, given)
                finally:
                    stats = explainer.stats()
            return Answered(value, None, self._replica, stats)
        except FluxpathError as error:
            return Answered(None, error, self._replica, stats)
        except Exception as error:  # any other may not go over the network
            failed = FluxpathError(f"{type(error).__name__}: {error}")
            return Answered(None, failed, self._replica, stats)

    async def _done(self, explainer: Explainer, what: str, given: dict[str, Any]) -> Any:
        if what != "submit":
            return await asyncio.to_thread(getattr(explainer, what), **given)
        result = await asyncio.wrap_future(explainer.submit(**given))
        method = given["method"]
        return Explained.of(result, method if isinstance(method, Recorded) else None)

    def _opened(self, key: str) -> Held:
        path, digest = self._models[key]
        explainer = Explainer(path, **self._options)
        if explainer.sha256 != digest:
            explainer.close()
            raise ArtifactError(
                f"'{path}' is not the file that the application was started with: give all machines the "
                "same, and start it again"
            )
        return Held(explainer)

    async def check_health(self) -> None:
        """Ray Serve replaces the replica where this raises. In its event loop, which alone opens models."""
        if any(held.broken for held in self._held):
            raise ClosedError("the engine of a model takes no more requests")
