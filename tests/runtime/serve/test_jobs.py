"""How long jobs are kept, and what they hold; what callers see of them is in http/test_jobs.py."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.jobs import Jobs
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.errors import BusyError, NotFoundError
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.settings import Settings


class Stub:
    """A service that answers a hundred bytes once it is told to."""

    settings = Settings(max_jobs=2, job_keep=10, job_bytes=250)

    def __init__(self):
        self.go, self.errors = asyncio.Event(), []

    def background(self, work):
        return asyncio.ensure_future(work)

    def refused(self, error):
        self.errors.append(error)

    async def infer(self, request, watch):
        await self.go.wait()
        if request.id == "bad":
            raise InputError("no")
        return Answer("m", "1", "", (tensors.of("x", np.zeros(100, np.uint8)),), {})


def request(id=""):
    return Inference("m", "", {"image": tensors.of("image", np.zeros(9))}, 1.0, id)


def run(check):
    async def main():
        service, now = Stub(), [0.0]
        await check(Jobs(service, lambda: now[0]), service, now)

    asyncio.run(main())


def test_results_are_kept_for_a_time():
    async def check(jobs, service, now):
        job = jobs.start(request(), None)
        service.go.set()
        await job.task
        now[0] = 9.0
        assert jobs.find("m", job.id).state == "done"
        now[0] = 11.0
        with pytest.raises(NotFoundError):
            jobs.find("m", job.id)

    run(check)


def test_the_oldest_results_go_first_when_there_are_too_many_bytes():
    async def check(jobs, service, now):
        service.go.set()
        made = []
        for _ in range(3):
            made.append(jobs.start(request(), None))
            await made[-1].task
        assert [row["id"] for row in jobs.listed("m")] == [job.id for job in made[1:]]

    run(check)


def test_what_was_sent_is_let_go_when_it_ends_however_it_ends():
    async def check(jobs, service, now):
        released = []
        for kind in ("", "bad"):
            job = jobs.start(request(kind), None)

            async def release(kind=kind):
                released.append(kind)

            job.release = release
            service.go.set()
            await job.task
            assert job.request.inputs == {}
        assert released == ["", "bad"] and len(service.errors) == 1
        service.go.clear()
        job = jobs.start(request("cancelled"), None)
        await asyncio.sleep(0)
        job.release = lambda: release("cancelled")
        jobs.delete("m", job.id)
        await asyncio.wait([job.task])
        assert released[-1] == "cancelled" and job.state == "cancelled"

    run(check)


def test_only_so_many_run():
    async def check(jobs, service, now):
        jobs.start(request(), None)
        jobs.start(request(), None)
        with pytest.raises(BusyError):
            jobs.start(request(), None)
        service.go.set()
        await asyncio.sleep(0.01)
        jobs.start(request(), None)

    run(check)
