"""The gRPC of the server through Ray Serve's proxy, which hands each call on as bytes.

The generated messages cannot be pickled, as Ray would have it: their module has a name that none can import.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

SERVICE = "inference.GRPCInferenceService"
RPCS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "ModelInfer",
)
"""The calls; ModelStreamInfer is not among them: the proxy hands streams on as messages, not as bytes."""


def add_to_server(servicer: Any, server: Any) -> None:
    """For `serve.start(grpc_options={"grpc_servicer_functions": [...]})`, by this function's dotted name."""
    handlers = {name: grpc.unary_unary_rpc_method_handler(getattr(servicer, name)) for name in RPCS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class Context:
    """A call's context as Ray Serve hands it on, with the methods of grpcio's."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def invocation_metadata(self) -> Any:
        """Pairs of texts."""
        return self._given.invocation_metadata()

    def time_remaining(self) -> float | None:
        """Not known here; the proxy cancels the call at its deadline."""
        return None

    async def abort(self, code: Any, details: str, trailing: Any = ()) -> None:
        """End the call with a status."""
        self._given.set_code(code)
        self._given.set_details(details)
        self._given.set_trailing_metadata(list(trailing))
        raise AbortError(details)


class AbortError(Exception):
    """The call has ended with a status."""


def answering(name: str) -> Callable[..., Awaitable[Any]]:
    """A method of that name for a class whose `_rpc` is a `Servicer`."""
    message = getattr(service_pb2, f"{name}Request")

    async def call(self: Any, request: bytes, grpc_context: Any) -> Any:
        return await getattr(self._rpc, name)(message.FromString(request), Context(grpc_context))

    call.__name__ = name
    return call
