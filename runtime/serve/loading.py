"""Models that are loaded and unloaded by request, confined to one folder."""

from __future__ import annotations

import asyncio

from fluxpath.errors import FluxpathError
from fluxpath.runtime.serve.protocol.errors import DrainingError
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.served import Served


async def load(service: Service, name: str) -> None:
    """Open the folder's model and serve it; ForbiddenError, NotFoundError, and what `Explainer` raises."""
    if service.draining:
        raise DrainingError("the server is stopping and loads no more models")
    repository = service.repository
    path = repository.path_of(name)
    async with service.loading:  # one at a time: each takes memory and all cores
        try:
            served = await service.in_thread(Served.open, name, "1", path, service.settings)
        except FluxpathError as error:
            repository.reasons[name] = str(error)
            raise
        repository.reasons.pop(name, None)
        replaced = repository.add(served)
    if replaced is not None:
        await _closed(service, replaced)


async def unload(service: Service, name: str) -> None:
    """Serve the model no more. Its requests go on, for at most the time that a stop of the server allows."""
    for served in service.repository.unload(name):
        await _closed(service, served)


async def _closed(service: Service, served: Served) -> None:
    """Close the model when nothing of it waits or runs."""

    async def finish() -> None:
        try:
            async with asyncio.timeout(service.settings.drain_timeout):
                while served.gate.images:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        await service.in_thread(served.close)

    service.background(finish())
