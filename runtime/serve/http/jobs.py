"""The addresses of jobs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fluxpath.runtime.serve.http.body import Bodies
from fluxpath.runtime.serve.http.envelope import guarded
from fluxpath.runtime.serve.http.framing import Framed
from fluxpath.runtime.serve.http.v2 import V2
from fluxpath.runtime.serve.jobs import Job, Jobs
from fluxpath.runtime.serve.protocol.errors import DrainingError
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Inference


class JobRoutes:
    """The endpoints; `routes` are theirs."""

    def __init__(self, service: Service, bodies: Bodies, v2: V2) -> None:
        self._service, self._bodies, self._v2 = service, bodies, v2
        self._jobs = Jobs(service)

    @property
    def routes(self) -> list[Route]:
        """All addresses of jobs."""
        jobs, job = "/v2/models/{model}/jobs", "/v2/models/{model}/jobs/{job}"
        rows: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("POST", jobs, self.start),
            ("GET", jobs, self.all),
            ("GET", job, self.state),
            ("DELETE", job, self.delete),
            ("GET", f"{job}/result", self.result),
        ]
        refuse = self._service.refused
        return [Route(path, guarded(run, refuse), methods=[verb]) for verb, path, run in rows]

    async def start(self, request: Request) -> Response:
        """Begin the work of an `infer` request, and answer 202 with the job's id."""
        if self._service.draining:
            raise DrainingError("the server is stopping and takes no new work")
        arrived = time.monotonic()
        async with AsyncExitStack() as held:
            data = await held.enter_async_context(self._bodies.read(request))
            inference, framed = self._v2.read(request, data, arrived)
            self._service.repository.find(inference.model)
            job = self._started(inference, framed, arrived, held)
        place = f"/v2/models/{inference.model}/jobs/{job.id}"
        return JSONResponse(job.told(), 202, {"location": place})

    def _started(self, inference: Inference, framed: Framed, arrived: float, held: AsyncExitStack) -> Job:
        # A deadline that was asked for stays; the default is a job's.
        asked = {"deadline_ms", "timeout"} & set(inference.parameters)
        if not asked:
            inference = replace(inference, deadline=arrived + self._service.settings.job_deadline)
        job = self._jobs.start(inference, replace(framed, inputs={}))
        job.release = held.pop_all().aclose  # the body is held, and counted so, until the job ends
        return job

    async def all(self, request: Request) -> Response:
        """The jobs of a model."""
        self._service.repository.find(request.path_params["model"])
        return JSONResponse({"jobs": self._jobs.listed(request.path_params["model"])})

    async def state(self, request: Request) -> Response:
        """State and progress of a job."""
        return JSONResponse(self._find(request).told())

    async def result(self, request: Request) -> Response:
        """What `infer` would have answered; 202 with the progress while the job runs."""
        job = self._find(request)
        if job.answer is not None:
            return await self._v2.written(job.answer, job.framed)
        if job.error is not None:
            raise job.error
        return JSONResponse(job.told(), 202, {"retry-after": "1"})

    async def delete(self, request: Request) -> Response:
        """Cancel a job, or forget its result."""
        model, job = request.path_params["model"], request.path_params["job"]
        return JSONResponse(self._jobs.delete(model, job).told())

    def _find(self, request: Request) -> Job:
        return self._jobs.find(request.path_params["model"], request.path_params["job"])
