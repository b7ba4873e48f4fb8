"""What is around every answer of REST: ids, the token, headers, limits of sending, one line in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fluxpath.runtime.serve.access import Trace, check_token
from fluxpath.runtime.serve.protocol.errors import (
    ForbiddenError,
    UnauthorizedError,
    fault_of,
    retry_after,
    sentence_of,
)
from fluxpath.runtime.serve.settings import Settings

_log = logging.getLogger("fluxpath.serve")
_OPEN = ("/v2/health/live", "/v2/health/ready", "/")
"""Addresses that need no token: probes cannot bear one, and the page asks for it."""


def refused(error: BaseException, trace: Trace) -> Response:
    """The answer that tells an error; one that nobody expected is logged with its traceback."""
    fault = fault_of(error)
    if fault.http == 500:
        _log.error("request failed", exc_info=error, extra={"request_id": trace.id})
    headers = {}
    seconds = retry_after(error)
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    if fault.http == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(json.dumps({"error": sentence_of(error)}), fault.http, headers, "application/json")


def guarded(
    endpoint: Callable[[Request], Awaitable[Response]], counted: Callable[[BaseException], None]
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, with every error told as the protocol wants it and `counted`."""

    async def run(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            raise
        except Exception as error:
            counted(error)
            return refused(error, request.state.trace)

    return run


class Envelope:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._open = (*_OPEN, "/metrics") if settings.open_metrics else _OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trace = Trace.of(headers.get("x-request-id"), headers.get("traceparent"))
        scope.setdefault("state", {})["trace"] = trace
        told: dict[str, Any] = {"status": 499}
        began = time.monotonic()

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                MutableHeaders(scope=message).update(
                    {
                        "x-request-id": trace.id,
                        "x-content-type-options": "nosniff",
                        "referrer-policy": "no-referrer",
                    }
                )
            async with asyncio.timeout(self._settings.send_timeout):
                await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await refused(refusal, trace)(scope, receive, outward)
            else:
                await self._app(scope, receive, outward)
        except (ClientDisconnect, TimeoutError):
            pass  # who has gone, or takes nothing, is told nothing; the connection is closed
        except Exception as error:
            if told["status"] != 499:
                raise
            await refused(error, trace)(scope, receive, outward)
        finally:
            _log.info(
                "request",
                extra={
                    "request_id": trace.id,
                    "trace_id": trace.trace,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": told["status"],
                    "ms": round((time.monotonic() - began) * 1e3, 3),
                },
            )

    def _refusal(self, scope: Scope, headers: Headers) -> Exception | None:
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is not None and origin.partition("://")[2] != host and origin != self._settings.cors:
            return ForbiddenError(
                "pages of other origins may not call this server: start it with --cors ORIGIN"
            )
        preflight = self._settings.cors is not None and scope["method"] == "OPTIONS"
        if preflight or scope["path"] in self._open:
            return None
        try:
            check_token(headers.get("authorization"), self._settings.token)
        except UnauthorizedError as error:
            return error
        return None
