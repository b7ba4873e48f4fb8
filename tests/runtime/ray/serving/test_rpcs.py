"""Calls of gRPC as bytes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import grpc
import pytest
from tritonclient.grpc import service_pb2

from fluxpath.runtime.ray.serving.rpcs import RPCS, SERVICE, AbortError, Context, add_to_server, answering


def test_every_call_is_handed_on_as_bytes():
    added = []
    server = SimpleNamespace(add_generic_rpc_handlers=added.extend)
    add_to_server(SimpleNamespace(**{name: name for name in RPCS}), server)
    handlers = added[0]._method_handlers
    assert set(handlers) == {f"/{SERVICE}/{name}" for name in RPCS}
    assert all(h.request_deserializer is None for h in handlers.values())
    service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert service.full_name == SERVICE and set(RPCS) < {method.name for method in service.methods}


def test_a_call_is_read_and_answered():
    async def ready(request, context):
        assert context.time_remaining() is None and context.invocation_metadata() == [("a", "b")]
        return request.name

    given = SimpleNamespace(invocation_metadata=lambda: [("a", "b")])
    holder = SimpleNamespace(_rpc=SimpleNamespace(ModelReady=ready))
    data = service_pb2.ModelReadyRequest(name="m").SerializeToString()
    assert asyncio.run(answering("ModelReady")(holder, data, given)) == "m"


def test_an_abort_sets_the_status():
    told = {}
    given = SimpleNamespace(
        set_code=lambda code: told.update(code=code),
        set_details=lambda text: told.update(details=text),
        set_trailing_metadata=lambda pairs: told.update(trailing=pairs),
    )
    with pytest.raises(AbortError):
        asyncio.run(Context(given).abort(grpc.StatusCode.NOT_FOUND, "there is none", (("retry-after", "1"),)))
    assert told == {
        "code": grpc.StatusCode.NOT_FOUND, "details": "there is none", "trailing": [("retry-after", "1")],
    }  # fmt: skip
