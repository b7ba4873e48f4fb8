"""A request on its way: checked, let in, decoded, computed, drawn. The transports call `Service.infer`."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from fluxpath import manifest as contract
from fluxpath.checks import need
from fluxpath.errors import DeadlineError, FluxpathError, InputError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine.progress import Progress
from fluxpath.runtime.serve.protocol import outputs
from fluxpath.runtime.serve.protocol.errors import DrainingError, fault_of
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.protocol.parameters import Wanted, settings_of, wanted
from fluxpath.runtime.serve.protocol.provenance import check_replay, provenance_of
from fluxpath.runtime.serve.protocol.repository import Repository
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.protocol.statistics import Record
from fluxpath.runtime.serve.protocol.tensors import Tensor
from fluxpath.runtime.serve.settings import Settings

_log = logging.getLogger("fluxpath.serve")
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
        """Whether new work is taken."""
        return not (self.stopping or self.draining)

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

    async def infer(self, request: Inference, watch: Callable[[Progress], None] | None = None) -> Answer:
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
        except Exception as error:
            if isinstance(error, TimeoutError) and not isinstance(error, FluxpathError):
                error = DeadlineError("the attribution was not done by its deadline: allow more time")
            record.reason = fault_of(error).reason
            raise error from None if isinstance(error, DeadlineError) else error
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
        self,
        served: Served,
        request: Inference,
        record: Record,
        watch: Callable[[Progress], None] | None,
    ) -> Answer:
        names = served.check_outputs(request.outputs)
        given = _sorted(served, request, self.settings)
        count = given.count
        record.images = count
        need(0 < count <= self.settings.max_images,
             f"the request has {count} images, and must have 1 to {self.settings.max_images}")  # fmt: skip
        explained = list(names)
        wish = wanted(request.parameters, given.settings, self.settings)
        made = provenance_of(served, wish, given.target_for(wish))
        if wish.replay is not None:
            check_replay(wish.replay, made)
        record.method = wish.name if explained else "predict"
        with served.gate.entered(count, wish.method if explained else None) as learn:
            with record.phase("decode"):
                images = await self._prepared(served, given)
            found: dict[str, Tensor] = {}
            if explained:
                result = await self._attributed(served, images, given, wish, request, record, watch)
                record.steps = int(result.steps.sum())
                learn(record.steps + count)
                with record.phase("encode"):
                    found |= await self._drawn(served, explained, result, images, wish)
        return Answer(served.name, served.version, request.id, tuple(found[n] for n in names), made)

    async def _prepared(self, served: Served, given: _Given) -> npt.NDArray[np.float32]:
        """The images as the model takes them, float32 [n, *shape]."""
        if given.ready is not None:
            return given.ready
        return await self.in_thread(_fitted, served, given.photos, self.settings.max_pixels)

    async def _attributed(
        self,
        served: Served,
        images: npt.NDArray[np.float32],
        given: _Given,
        wish: Wanted,
        request: Inference,
        record: Record,
        watch: Callable[[Progress], None] | None,
    ) -> Attribution:
        left = request.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError("the attribution was not begun by its deadline: allow more time")
        submitted = time.monotonic()
        submit = served.explainer.submit
        target = given.target_for(wish)
        arguments: dict[str, Any] = {"inputs": given.companions, "deadline": left}
        if images.nbytes <= _SMALL:
            future = submit(images, target, wish.method, **arguments)
        else:
            future = await self.in_thread(submit, images, target, wish.method, **arguments)
        progress: Progress = future.progress  # type: ignore[attr-defined]
        if watch is not None:
            watch(progress)
        try:
            return await asyncio.wrap_future(future)
        finally:
            now, began = time.monotonic(), progress.began
            record.phases["queue"] = (now if began is None else began) - submitted
            record.phases["compute"] = record.phases.get("compute", 0.0) + (
                0.0 if began is None else now - began
            )

    async def _drawn(
        self,
        served: Served,
        names: list[str],
        result: Attribution,
        images: npt.NDArray[np.float32],
        wish: Wanted,
    ) -> dict[str, Tensor]:
        arguments = (
            names,
            result,
            _shown(images, served) if {"overlay", "photo"} & set(names) else None,
            wish.drawing,
            wish.half,
        )
        if wish.half or set(names) & set(outputs.DRAWN):
            return await self.in_thread(outputs.tensors_of, *arguments)
        return outputs.tensors_of(*arguments)


class _Given:
    """A request's inputs, sorted: the images, ready or as photos, and what belongs to them."""

    def __init__(self) -> None:
        self.count = 0
        self.ready: npt.NDArray[Any] | None = None
        self.photos: Any = []
        self.target: list[Any] | None = None
        self.companions: dict[str, npt.NDArray[Any]] = {}
        self.settings: dict[str, npt.NDArray[Any]] = {}

    def target_for(self, wish: Wanted) -> list[Any] | None:
        """The target; that of the provenance, if one is replayed."""
        return self.target if wish.replay is None else wish.replay.get("target")


def _sorted(served: Served, request: Inference, settings: Settings) -> _Given:
    """Sort the tensors; InputError for one that nobody knows, or without images."""
    given, manifest = _Given(), served.manifest
    companions = {c.name for c in manifest.companions}
    name = request.parameters.get("method", settings.method)
    fields = settings_of(name) if isinstance(name, str) else {}
    tensor = None
    for key, one in request.inputs.items():
        if key == manifest.input or (key == "image" and key not in companions):
            need(tensor is None, "there are two images: send one tensor of all")
            tensor = one
        elif key in companions:
            given.companions[key] = one.array
        elif key == contract.TARGET:
            given.target = _targets(one)
        else:
            need(key in fields, f"there is no input '{key:.60}', there are "
                 f"{', '.join([manifest.input, contract.TARGET, *companions])}")  # fmt: skip
            given.settings[key] = one.array
    if tensor is None:
        raise InputError(f"there is no image: send it as the input '{manifest.input}'")
    _sort_images(given, tensor, served.explainer.shape)
    if given.target is not None and len(given.target) == 1:
        given.target *= given.count
    return given


def _sort_images(given: _Given, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.datatype == "BYTES":
        given.photos = list(tensor.strings)
    elif tensor.datatype == "UINT8":
        given.photos = tensor.array if tensor.array.ndim == 4 else [tensor.array]
    else:
        need(tensor.datatype in ("FP16", "FP32", "FP64"),
             f"the image has datatype {tensor.datatype}, it must be FP32, UINT8 or BYTES")  # fmt: skip
        array = tensor.array
        given.ready = array[None] if array.shape == shape else array
        if given.ready.dtype == np.float16:
            given.ready = given.ready.astype(np.float32)
    given.count = len(given.photos) if given.ready is None else (len(given.ready) if given.ready.ndim else 0)


def _targets(tensor: Tensor) -> list[Any]:
    if tensor.datatype == "BYTES":
        assert isinstance(tensor.data, list)
        try:
            return [text.decode() for text in tensor.data]
        except UnicodeDecodeError as error:
            raise InputError("a target is no text: class names are UTF-8") from error
    need(tensor.array.dtype.kind in "iu" and tensor.array.size == math.prod(tensor.shape),
         f"target has datatype {tensor.datatype}, it must be INT64, or BYTES with class names")  # fmt: skip
    return [int(t) for t in tensor.array.reshape(-1)]


def _fitted(served: Served, photos: Any, max_pixels: int) -> npt.NDArray[np.float32]:
    for photo in photos:
        width, height = outputs.size_of(photo) if isinstance(photo, bytes) else photo.shape[:2]
        need(width * height <= max_pixels,
             f"a photo has {width} x {height} pixels, and the server takes at most {max_pixels}")  # fmt: skip
    return served.explainer.prepare(photos)


def _shown(images: npt.NDArray[np.float32], served: Served) -> npt.NDArray[np.float32]:
    """The images in [0, 1], as pictures take them."""
    low, high = served.manifest.low, served.manifest.high
    if low is None or high is None:
        low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    return (images - np.float32(low)) / np.float32(high - low)
