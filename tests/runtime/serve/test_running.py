"""The process: its sockets."""

from __future__ import annotations

import socket

import pytest

from fluxpath.errors import FluxpathError
from fluxpath.runtime.serve.running import listener_of
from fluxpath.runtime.serve.settings import Settings


def test_asyncio_can_see_that_it_is_tcp():
    """Else it leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement."""
    with listener_of(Settings(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            assert accepted.proto == socket.IPPROTO_TCP
            accepted.close()


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_a_port_that_is_taken(host):
    with (
        listener_of(Settings(host=host, port=0)) as first,
        pytest.raises(FluxpathError, match="take another --port"),
    ):
        listener_of(Settings(host=host, port=first.getsockname()[1]))
