"""uvicorn's connections, with a limit of how long headers may take, and of how many there are."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float, most: int) -> type[asyncio.Protocol]:
    """uvicorn's protocol, which waits so long for the first and for each further request's headers.

    While there are more than `most` connections, the requests of the later ones are answered 503, and these
    connections are closed. (uvicorn's own limit would answer with plain text.)
    """
    crowded = JSONResponse(
        {"error": f"there are more than {most} connections: try again later"},
        503,
        {"connection": "close", "retry-after": "1"},
    )

    class Patient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def handle_events(self) -> None:
            if len(self.connections) > most:
                self.app = crowded
            super().handle_events()

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self._wait()
            elif self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def _wait(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(seconds, self._end)

        def _end(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return Patient
