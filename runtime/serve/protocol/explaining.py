"""A request on its way: checked, let in, decoded, computed, drawn. The transports call `Service.infer`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need
from fluxpath.errors import DeadlineError, FluxpathError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.attribution.subject import unit
from fluxpath.runtime.coroutine import cancel_result
from fluxpath.runtime.engine.progress import Progress
from fluxpath.runtime.methods import Method
from fluxpath.runtime.prediction import Prediction
from fluxpath.runtime.replicas.asking import Asking
from fluxpath.runtime.serve.followed import Followed
from fluxpath.runtime.serve.protocol import outputs, tensors
from fluxpath.runtime.serve.protocol.errors import DrainingError, fault_of
from fluxpath.runtime.serve.protocol.inference import Answer, Given, Inference, sorted_inputs
from fluxpath.runtime.serve.protocol.parameters import Wanted, fields_of, wanted
from fluxpath.runtime.serve.protocol.provenance import check_replay, provenance_of
from fluxpath.runtime.serve.protocol.repository import Repository
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.protocol.statistics import Record
from fluxpath.runtime.serve.protocol.tensors import Tensor
from fluxpath.runtime.serve.settings import Settings

_log = logging.getLogger("fluxpath.serve")
Watch = Callable[[Progress], None]
_P = ParamSpec("_P")
_R = TypeVar("_R")

_SMALL = 2**20
"""Bytes of a tensor that the event loop's thread copies itself: a turn through a thread costs more."""


class Service:
    """What the transports share. Everything but decoding, drawing and copying runs in the loop's thread.

    There is no queue but the engine's: what the gate lets in is decoded and submitted at once, and ends at
    its deadline or when its task is cancelled, wherever it then is.
    """

    def __init__(self, repository: Repository, settings: Settings) -> None:
        fields_of(settings.method)  # there must be such a method
        self.repository, self.settings = repository, settings
        self.running = 0
        """Requests that were accepted and have no answer yet."""
        self.stopping = False
        """Whether the server is about to stop: it is not ready, and still takes work."""
        self.draining = False
        """Whether it takes no more work."""
        self.listeners: list[Callable[[Record], None]] = []
        """Told of every request that has ended."""
        self.on_error: list[Callable[[BaseException], None]] = []
        """Told of every error that a caller is told."""
        self.loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="fluxpath-serve")

    @property
    def ready(self) -> bool:
        """Whether new work is taken, for every model."""
        return not (self.stopping or self.draining) and all(served.ready for served in self.repository)

    def refused(self, error: BaseException) -> None:
        """Count an error that a caller is told."""
        for listener in self.on_error:
            listener(error)

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let work go on by itself."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def infer(self, request: Inference, watch: Watch | None = None) -> Answer:
        """Explain or predict; raises fluxpath's errors. Cancelling the task frees its lanes.

        watch: called with the request's progress once the engine has it.
        """
        if self.draining:
            raise DrainingError("the server is stopping and takes no new work: try another, or again later")
        served = self.repository.find(request.model, request.version)
        record = Record(served.name, served.version, request.id)
        self.running += 1
        try:
            # Its own clock is that of deadlines.
            async with asyncio.timeout_at(request.deadline):
                return await self._answered(served, request, record, watch)
        except asyncio.CancelledError:
            record.reason = "cancelled"
            raise
        except FluxpathError as error:
            record.reason = fault_of(error).reason
            raise
        except TimeoutError:
            late = DeadlineError("the attribution was not done by its deadline: allow more time")
            record.reason = fault_of(late).reason
            raise late from None
        except Exception as error:
            record.reason = fault_of(error).reason
            raise
        finally:
            self.running -= 1
            record.took = time.monotonic() - record.began
            served.statistics.add(record)
            for listener in self.listeners:
                listener(record)

    async def in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run in one of the few threads for what takes long."""
        return await asyncio.wrap_future(self._threads.submit(function, *args, **kwargs))

    def close(self) -> None:
        """Close all models and end the threads."""
        self.repository.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answered(
        self, served: Served, request: Inference, record: Record, watch: Watch | None
    ) -> Answer:
        names = served.check_outputs(request.outputs)
        given = sorted_inputs(served, request, self.settings)
        record.images = given.count
        need(0 < given.count <= self.settings.max_images,
             f"it has {given.count} images, and must have 1 to {self.settings.max_images}")  # fmt: skip
        wish = wanted(request.parameters, given.settings, self.settings)
        if wish.replay is not None:
            given.target = wish.replay.get("target")
        made = provenance_of(served, wish, given.target)
        if wish.replay is not None:
            check_replay(wish.replay, made)
        explained = [n for n in names if n not in served.predicted]
        record.method = wish.name if explained else "predict"
        method = wish.method if explained else None
        if "walk" in names:
            need(given.count == 1, "a walk is answered for one image, and the request has more")
            method = Followed(wish.method.fitted(served.manifest.classes))
        with served.gate.entered(given.count, wish.method if explained else None) as learn:
            with record.phase("decode"):
                if given.ready is None:
                    most = self.settings.max_pixels
                    given.ready = await self.in_thread(_fitted, served, given.photos, most)
            images = given.ready
            assert images is not None
            found: dict[str, Tensor] = {}
            if len(explained) < len(names):
                with record.phase("compute"):
                    found |= await self._predicted(served, given)
            if method is not None:
                future = await self._submitted(served, given, method, wish, request.deadline)
                result = await _awaited(future, record, watch)
                record.steps = int(result.steps.sum())
                learn(record.steps + given.count)
                with record.phase("encode"):
                    found |= await self._drawn(served, explained, result, images, wish)
                if isinstance(method, Followed):
                    found["walk"] = tensors.of("walk", method.scores())
        return Answer(served.name, served.version, request.id, tuple(found[n] for n in names), made)

    async def _submitted(
        self, served: Served, given: Given, method: Method, wish: Wanted, deadline: float
    ) -> Future[Attribution]:
        """The engine's future; of what takes a while to copy, by a thread."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError("the attribution was not begun by its deadline: allow more time")
        assert given.ready is not None
        submit = partial(
            served.explainer.submit, given.ready, given.target, method,
            top=wish.top, inputs=given.companions, deadline=left,
        )  # fmt: skip
        return await self._handed(submit, given.ready.nbytes <= _SMALL and wish.top is None)

    async def _handed(self, submit: Callable[[], Future[_R]], quick: bool) -> Future[_R]:
        """The future that `submit` gives, here or, where it takes a while, by a thread."""
        if quick:
            return submit()
        handed = self._threads.submit(submit)
        try:
            return await asyncio.wrap_future(handed)
        except asyncio.CancelledError:  # while the thread was at it, which gives a future all the same
            handed.add_done_callback(cancel_result)
            raise

    async def _predicted(self, served: Served, given: Given) -> dict[str, Tensor]:
        explainer, images, inputs = served.explainer, given.ready, given.companions
        assert images is not None
        if isinstance(explainer, Asking):  # a thread would wait for a process, however long it takes
            ask = partial(explainer.submit_prediction, images, 1, inputs=inputs)
            found: Prediction = await asyncio.wrap_future(await self._handed(ask, images.nbytes <= _SMALL))
        else:
            found = await self.in_thread(explainer.predict, images, 1, inputs=inputs)
        return {
            name: tensors.of(name, found.probabilities if name == "probabilities" else found.logits)
            for name in served.predicted
        }

    async def _drawn(
        self,
        served: Served,
        names: list[str],
        result: Attribution,
        images: npt.NDArray[np.float32],
        wish: Wanted,
    ) -> dict[str, Tensor]:
        names = [n for n in names if n != "walk"]
        low, high = served.manifest.low, served.manifest.high
        shown = [unit(image, low, high) for image in images] if {"overlay", "photo"} & set(names) else ()
        arguments = (names, result, shown, wish.drawing, wish.half)
        if wish.half or set(names) & set(outputs.DRAWN):
            return await self.in_thread(outputs.tensors_of, *arguments)
        return outputs.tensors_of(*arguments)


async def _awaited(future: Future[Attribution], record: Record, watch: Watch | None) -> Attribution:
    """The result; cancelling frees the lanes. How long it waited and ran goes to the record."""
    progress: Progress = future.progress  # type: ignore[attr-defined]
    if watch is not None:
        watch(progress)
    submitted = time.monotonic()
    try:
        return await asyncio.wrap_future(future)
    finally:
        now = time.monotonic()
        began = now if progress.began is None else max(progress.began, submitted)
        record.phases["queue"] = began - submitted
        record.phases["compute"] = record.phases.get("compute", 0.0) + now - began


def _fitted(served: Served, photos: Any, max_pixels: int) -> npt.NDArray[np.float32]:
    for photo in photos:
        width, height = outputs.size_of(photo) if isinstance(photo, bytes) else photo.shape[:2]
        need(width * height <= max_pixels,
             f"a photo has {width} x {height} pixels, and the server takes at most {max_pixels}")  # fmt: skip
    return served.explainer.prepare(photos)
