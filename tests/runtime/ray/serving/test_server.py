"""The process that speaks to callers, with nobody behind it."""

from __future__ import annotations

import asyncio

import httpx

from fluxpath.artifact import read_manifest
from fluxpath.runtime.ray.serving.rpcs import RPCS
from fluxpath.runtime.ray.serving.server import Model, Server
from fluxpath.runtime.serve import Settings


class Handle:
    def __init__(self):
        self.keys = []

    def options(self, multiplexed_model_id):
        self.keys.append(multiplexed_model_id)
        return self


def made(graph, several):
    async def make():
        path = graph("smooth")
        model = Model("m", "2", str(path), "digest", read_manifest(path), (1, 6, 6))
        handle = Handle()
        server = Server(handle, [model], Settings(), 3, several)
        transport = httpx.ASGITransport(server.__serve_build_asgi_app__())
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get("/v2/models/m")
        return server, handle, answer.json()

    return asyncio.run(make())


def test_the_application_knows_the_models(graph):
    server, handle, answer = made(graph, False)
    assert (answer["versions"], handle.keys) == (["2"], [])
    assert all(callable(getattr(server, name)) for name in RPCS)


def test_models_that_take_turns_are_asked_for_by_name(graph):
    assert made(graph, True)[1].keys == ["m:2"]
