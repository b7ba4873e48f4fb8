"""Bodies as they come in: with limits of size, of time, and of all that is held at a time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol.errors import BusyError, SlowError, TooLargeError, UnsupportedError
from fluxpath.runtime.serve.settings import Settings

_R = TypeVar("_R")


class Bodies:
    """Counts the bytes of all bodies that are held."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The request's body, unpacked, which counts as held until the end of the block.

        Raises TooLargeError, SlowError, BusyError, UnsupportedError, InputError; ClientDisconnect.
        """
        taken = [0]
        try:
            try:
                async with asyncio.timeout(self._settings.body_timeout):
                    data = await self._received(request, taken)
            except TimeoutError as error:
                raise SlowError(
                    f"the body did not come within {self._settings.body_timeout:g} seconds"
                ) from error
            yield self._unpacked(data, request.headers.get("content-encoding", "identity"), taken)
        finally:
            self.held -= taken[0]

    async def _received(self, request: Request, taken: list[int]) -> bytes:
        announced = request.headers.get("content-length", "0")
        if announced.isdigit():
            self._need_small(int(announced))
        parts = []
        async for part in request.stream():
            self._need_small(taken[0] + len(part))
            self._take(len(part), taken)
            if part:
                parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _need_small(self, size: int) -> None:
        if size > self._settings.max_body:
            raise TooLargeError(
                f"the body has {size} bytes or more, and the server takes at most {self._settings.max_body}"
            )

    def _take(self, size: int, taken: list[int]) -> None:
        if self.held + size > self._settings.max_bodies:
            raise BusyError("the bodies of other requests take all the room: try again later", 1.0)
        self.held += size
        taken[0] += size

    def _unpacked(self, data: bytes, encoding: str, taken: list[int]) -> bytes:
        if encoding in ("identity", ""):
            return data
        if encoding not in ("gzip", "deflate"):
            raise UnsupportedError(
                f"the body's encoding is {encoding!r:.40}, it must be gzip, deflate or none"
            )
        unpacker = zlib.decompressobj(47 if encoding == "gzip" else 15)
        most = self._settings.max_body
        try:
            unpacked = unpacker.decompress(data, most + 1)
        except zlib.error as error:
            raise InputError(f"the body is no {encoding}: {error}") from error
        self._need_small(len(unpacked))
        if not unpacker.eof:
            raise InputError(f"the body ends within its {encoding}")
        self._take(len(unpacked), taken)
        return unpacked


async def while_connected(request: Request, work: Awaitable[_R]) -> _R:
    """Do the work; cancel it when the caller goes, and raise ClientDisconnect. After the body was read."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        for one in (task, gone):
            one.cancel()
        if not task.done():
            await asyncio.wait((task,))


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
