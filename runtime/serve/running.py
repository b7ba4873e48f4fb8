"""`fluxpath serve`: the process that listens, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator

import uvicorn

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.serve.app import application
from fluxpath.runtime.serve.grpc.server import Rpc
from fluxpath.runtime.serve.http.patience import patient
from fluxpath.runtime.serve.logs import log_to_stderr
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.repository import opened
from fluxpath.runtime.serve.settings import Settings

_log = logging.getLogger("fluxpath.serve")


def run(models: list[str], settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then end what was accepted, and return. Raises fluxpath's errors."""
    log_to_stderr(settings.log_level)
    _check_tls(settings)
    service = Service(opened(models, settings), settings)
    try:
        if settings.warmup:
            for served in service.repository:
                served.warm_up()
        asyncio.run(_serve(service))
    finally:
        service.close()


async def _serve(service: Service) -> None:
    settings = service.settings
    rest = _Rest(_config(service))
    rpc = Rpc(service) if settings.grpc_port >= 0 else None
    stop = _stopper()
    listener = listener_of(settings)
    task = asyncio.create_task(rest.serve([listener]))
    try:
        ports = {"port": listener.getsockname()[1]}
        if rpc is not None:
            ports["grpc_port"] = await rpc.start()
        models = [f"{served.name}:{served.version}" for served in service.repository]
        _log.info("ready", extra={"host": settings.host, **ports, "models": models})
        await stop.wait()
        await _drain(service)
    finally:
        if rpc is not None:
            await rpc.stop()
        rest.should_exit = True
        await asyncio.wait((task,), timeout=5)


def listener_of(settings: Settings) -> socket.socket:
    """The socket of REST; FluxpathError if it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns off Nagle's delays only where it knows that the protocol is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
        return listener
    except OSError as error:
        listener.close()
        raise FluxpathError(
            f"cannot listen at {settings.host}, port {settings.port} ({error.strerror}): take another --port"
        ) from error


def _check_tls(settings: Settings) -> None:
    """InputError unless certificate and key can be read and belong together."""
    if settings.tls_certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # SSLError is one
        raise InputError(
            f"the certificate '{settings.tls_certificate}' and the key '{settings.tls_key}' cannot be read, "
            f"or do not belong together: {error.strerror or error}"
        ) from error


def _stopper() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; the second ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def heard(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)
    return stop


async def _drain(service: Service) -> None:
    """Readiness off; after the delay no new work; then wait for what was accepted, so long as allowed."""
    settings = service.settings
    service.stopping = True
    _log.info("stopping", extra={"running": service.running})
    await asyncio.sleep(settings.drain_delay)
    service.draining = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain_timeout):
            while service.running:
                await asyncio.sleep(0.02)
    left = service.running
    if left:  # their callers are told that the server is closed
        await asyncio.to_thread(service.close)
        await asyncio.sleep(0.1)
    _log.info("stopped", extra={"unfinished": left})


def _config(service: Service) -> uvicorn.Config:
    settings = service.settings
    return uvicorn.Config(
        application(service),
        host=settings.host,
        port=settings.port,
        http=patient(settings.body_timeout, settings.max_connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=65536,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


class _Rest(uvicorn.Server):
    """uvicorn, without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: `_stopper` has them."""
        yield
