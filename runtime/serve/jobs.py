"""Long work: a request whose answer is fetched later."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fluxpath.runtime.engine.progress import Progress
from fluxpath.runtime.serve.protocol.errors import BusyError, NotFoundError, fault_of, sentence_of
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Answer, Inference


@dataclass
class Job:
    """One job. framed: how its answer is to be written, which the transport knows."""

    id: str
    request: Inference
    framed: Any
    task: asyncio.Task[None] | None = None
    release: Callable[[], Awaitable[None]] | None = None
    """Called when it has ended, and its request is needed no more."""
    progress: Progress | None = None
    answer: Answer | None = None
    error: BaseException | None = None
    ended: float | None = None
    began: float = field(default_factory=time.time)
    size: int = 0

    @property
    def state(self) -> str:
        """running, done, failed or cancelled."""
        if self.ended is None:
            return "running"
        if self.answer is not None:
            return "done"
        return "cancelled" if isinstance(self.error, asyncio.CancelledError) else "failed"

    def told(self) -> dict[str, Any]:
        """State and progress, in JSON."""
        found: dict[str, Any] = {"id": self.id, "model": self.request.model, "state": self.state}
        if self.progress is not None:
            found["progress"] = {
                "steps": self.progress.steps,
                "lanes": self.progress.lanes,
                "lanes_left": self.progress.lanes - self.progress.ended,
            }
        if self.error is not None and self.state == "failed":
            found |= {"error": sentence_of(self.error), "status": fault_of(self.error).http}
        return found


class Jobs:
    """The jobs that run, and those that ended, for a time and within a number of bytes."""

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service, self._clock = service, clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, request: Inference, framed: Any) -> Job:
        """Begin; BusyError if too many run."""
        self._tidy()
        settings = self._service.settings
        running = sum(job.ended is None for job in self._jobs.values())
        if running >= settings.max_jobs:
            raise BusyError(f"{running} jobs run already: try again when some are done", 5.0)
        job = Job(secrets.token_hex(16), request, framed)
        self._jobs[job.id] = job
        job.task = self._service.background(self._run(job))
        return job

    def find(self, model: str, id: str) -> Job:
        """The job; NotFoundError if it is unknown, or not kept any more."""
        self._tidy()
        job = self._jobs.get(id)
        if job is None or job.request.model != model:
            raise NotFoundError("there is no such job: it is unknown, was deleted, or was kept long enough")
        return job

    def listed(self, model: str) -> list[dict[str, Any]]:
        """All jobs of a model."""
        self._tidy()
        return [job.told() for job in self._jobs.values() if job.request.model == model]

    def delete(self, model: str, id: str) -> Job:
        """Cancel the job if it runs, and forget it."""
        job = self.find(model, id)
        if job.task is not None:
            job.task.cancel()
        del self._jobs[id]
        return job

    async def _run(self, job: Job) -> None:
        def watch(progress: Progress) -> None:
            job.progress = progress

        try:
            job.answer = await self._service.infer(job.request, watch)
            job.size = sum(_bytes(t.data) for t in job.answer.outputs)
        except asyncio.CancelledError as error:
            job.error = error
        except Exception as error:
            job.error = error
            self._service.refused(error)
        finally:
            job.ended = self._clock()
            # What was sent can be large.
            job.request = Inference(job.request.model, job.request.version, {}, 0.0, job.request.id)
            if job.release is not None:
                await job.release()
            self._jobs.pop(job.id, None) if job.state == "cancelled" else self._tidy()

    def _tidy(self) -> None:
        """Forget what was kept long enough, and the oldest while there are too many bytes."""
        settings = self._service.settings
        done = [job for job in self._jobs.values() if job.ended is not None]
        kept = sum(job.size for job in done)
        for job in done:
            old = self._clock() - (job.ended or 0.0) > settings.job_keep
            if old or kept > settings.job_bytes:
                kept -= job.size
                del self._jobs[job.id]


def _bytes(data: Any) -> int:
    return int(data.nbytes) if isinstance(data, np.ndarray) else sum(map(len, data))
