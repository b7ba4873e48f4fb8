"""Connections on which nothing comes."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("begun", [b"", b"POST /v2 HTTP/1.1\r\nHos"])
def test_headers_that_do_not_come_end_the_connection(small, begun):
    host, port = small.http.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(begun)
        assert connection.recv(100) == b""
