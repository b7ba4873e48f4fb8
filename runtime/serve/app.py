"""The server as an ASGI application, for uvicorn, gunicorn or a bigger application."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.serve.http.body import Bodies
from fluxpath.runtime.serve.http.envelope import Envelope
from fluxpath.runtime.serve.http.framing import LENGTH
from fluxpath.runtime.serve.http.jobs import JobRoutes
from fluxpath.runtime.serve.http.openapi import document
from fluxpath.runtime.serve.http.page import Page
from fluxpath.runtime.serve.http.people import People
from fluxpath.runtime.serve.http.v2 import V2
from fluxpath.runtime.serve.metrics import CONTENT_TYPE, Metrics
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.repository import opened
from fluxpath.runtime.serve.settings import Settings

Models = Iterable[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str] | Explainer]


def create_app(models: Models, settings: Settings | None = None) -> Starlette:
    """The server of these models, without gRPC, as an ASGI application.

    models: files that `fluxpath export` wrote, as "MODEL.grad.onnx", "NAME=MODEL.grad.onnx" or
        "NAME:VERSION=MODEL.grad.onnx"; or a dict of names with files or open `Explainer`s.
    settings: limits and the rest; those of addresses, TLS and stopping are the server's that runs it.

    The models are opened here, so each process makes its own application: with gunicorn, do not preload.
    They are closed at the end of the application's lifespan. Raises InputError, ArtifactError, ProviderError.
    """
    settings = settings or Settings()
    return application(Service(opened(models, settings), settings))


def application(service: Service) -> Starlette:
    """The application around a service."""
    settings = service.settings
    bodies = Bodies(settings)
    v2, metrics = V2(service, bodies), Metrics(service)

    async def scraped(request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    async def described(request: Request) -> Response:
        return JSONResponse(document(settings, list(dict.fromkeys(s.name for s in service.repository))))

    routes: list[Route] = [
        *v2.routes,
        *JobRoutes(service, bodies, v2).routes,
        *People(service, bodies).routes,
        Route("/metrics", scraped),
        Route("/openapi.json", described),
        *([Route("/", Page().show)] if settings.page else []),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_address}, lifespan=lifespan)
    if settings.cors is not None:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[settings.cors],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", LENGTH, "x-request-id", "traceparent"],
            expose_headers=[LENGTH, "retry-after", "x-request-id", "x-fluxpath-provenance"],
        )
    app.add_middleware(Envelope, settings=settings)
    app.state.service = service
    return app


async def _no_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = "there is nothing at" if error.status_code == 404 else f"{request.method} is not for"
    return JSONResponse({"error": f"{what} {request.url.path:.200}"}, error.status_code, error.headers)
