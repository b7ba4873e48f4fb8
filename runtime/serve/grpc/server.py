"""The service of gRPC, on the event loop that REST runs on."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2, service_pb2_grpc
from tritonclient.grpc import service_pb2 as pb

from fluxpath.checks import need
from fluxpath.errors import FluxpathError
from fluxpath.runtime.serve.access import Trace, check_token
from fluxpath.runtime.serve.grpc import messages
from fluxpath.runtime.serve.loading import load, unload
from fluxpath.runtime.serve.protocol.errors import fault_of, retry_after, sentence_of
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.settings import Settings

_log = logging.getLogger("fluxpath.serve")
_R = TypeVar("_R")
Context: TypeAlias = Any
"""A `grpc.aio.ServicerContext`; grpcio has no types."""


class Rpc:
    """The server of gRPC."""

    def __init__(self, service: Service) -> None:
        self._settings = settings = service.settings
        most = settings.max_body + 2**16
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", 16384),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=settings.max_connections,
        )
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(service), self._server)

    async def start(self) -> int:
        """Listen, and return the port; FluxpathError if that cannot be."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if settings.tls_certificate is None:
                port: int = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(settings))
        except RuntimeError as error:
            raise FluxpathError(f"cannot listen at {address}: take another --grpc-port") from error
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Take no more calls, and end those that are open within a second."""
        await self._server.stop(1.0)


def _credentials(settings: Settings) -> grpc.ServerCredentials:
    assert settings.tls_key is not None and settings.tls_certificate is not None
    pair = (Path(settings.tls_key).read_bytes(), Path(settings.tls_certificate).read_bytes())
    return grpc.ssl_server_credentials([pair])


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """The calls; those of shared memory, traces and logs are not implemented."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802
        return pb.ServerReadyResponse(ready=self._service.ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        async def ready() -> pb.ModelReadyResponse:
            served = self._service.repository.find(request.name, request.version)
            return pb.ModelReadyResponse(ready=self._service.ready and served.ready)

        return await self._told(context, ready)

    async def ServerMetadata(  # noqa: N802
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        async def metadata() -> pb.ServerMetadataResponse:
            return pb.ServerMetadataResponse(**self._service.repository.about())

        return await self._told(context, metadata)

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        async def metadata() -> pb.ModelMetadataResponse:
            repository = self._service.repository
            served = repository.find(request.name, request.version)
            return ParseDict(served.metadata(repository.versions(served.name)), pb.ModelMetadataResponse())

        return await self._told(context, metadata)

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:  # noqa: N802
        async def config() -> pb.ModelConfigResponse:
            found = self._service.repository.find(request.name, request.version).config()
            return pb.ModelConfigResponse(config=ParseDict(found, model_config_pb2.ModelConfig()))

        return await self._told(context, config)

    async def ModelStatistics(  # noqa: N802
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        async def counts() -> pb.ModelStatisticsResponse:
            found = self._service.repository.statistics(request.name, request.version)
            return ParseDict({"model_stats": found}, pb.ModelStatisticsResponse())

        return await self._told(context, counts)

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        async def index() -> pb.RepositoryIndexResponse:
            found = self._service.repository.index(request.ready)
            return ParseDict({"models": found}, pb.RepositoryIndexResponse())

        return await self._told(context, index)

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        async def loaded() -> pb.RepositoryModelLoadResponse:
            need(not request.parameters, "parameters of loading are not supported: the file says all")
            await load(self._service, request.model_name)
            return pb.RepositoryModelLoadResponse()

        return await self._told(context, loaded)

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        async def unloaded() -> pb.RepositoryModelUnloadResponse:
            await unload(self._service, request.model_name)
            return pb.RepositoryModelUnloadResponse()

        return await self._told(context, unloaded)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        began, status = time.monotonic(), "CANCELLED"
        try:
            answer = await self._told(context, lambda: self._infer(request, context.time_remaining()))
            status = "OK"
            return answer
        except grpc.aio.AbortError:
            status = "refused"
            raise
        finally:
            trace = _trace(context)
            _log.info(
                "call",
                extra={
                    "request_id": trace.id,
                    "trace_id": trace.trace,
                    "method": "ModelInfer",
                    "model": request.model_name[:128],
                    "status": status,
                    "ms": round((time.monotonic() - began) * 1e3, 3),
                },
            )

    async def ModelStreamInfer(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """One answer for each request, in their order; an error ends a request, not the stream."""
        await self._admitted(context)
        async for request in request_iterator:
            try:
                answer = await self._infer(request, None)
                yield pb.ModelStreamInferResponse(infer_response=answer)
            except Exception as error:
                self._note(error, context)
                failed = pb.ModelInferResponse(id=request.id[:256], model_name=request.model_name)
                yield pb.ModelStreamInferResponse(error_message=sentence_of(error), infer_response=failed)

    async def _infer(self, request: pb.ModelInferRequest, remaining: float | None) -> pb.ModelInferResponse:
        inference = messages.inference(request, self._service.settings, time.monotonic(), remaining)
        return messages.response(await self._service.infer(inference))

    async def _told(self, context: Context, work: Callable[[], Awaitable[_R]]) -> _R:
        """Do the work for whoever has the token; its errors end the call with their status."""
        await self._admitted(context)
        try:
            return await work()
        except Exception as error:
            self._note(error, context)
            await _abort(context, error)

    async def _admitted(self, context: Context) -> None:
        given = dict(context.invocation_metadata() or ())
        try:
            check_token(given.get("authorization"), self._service.settings.token)
        except FluxpathError as error:
            self._note(error, context)
            await _abort(context, error)

    def _note(self, error: BaseException, context: Context) -> None:
        self._service.refused(error)
        if fault_of(error).http == 500:
            _log.error("request failed", exc_info=error, extra={"request_id": _trace(context).id})


def _trace(context: Context) -> Trace:
    given = dict(context.invocation_metadata() or ())
    return Trace.of(given.get("x-request-id"), given.get("traceparent"))


async def _abort(context: Context, error: BaseException) -> NoReturn:
    seconds = retry_after(error)
    trailing: tuple[Any, ...] = () if seconds is None else (("retry-after", str(seconds)),)
    await context.abort(getattr(grpc.StatusCode, fault_of(error).grpc), sentence_of(error), trailing)
    raise AssertionError("abort raises")
