"""Bodies: large, packed, slow, and of callers who go."""

from __future__ import annotations

import gzip
import socket

import models
import pytest
from serving import body, post, wait_until

DATA = body(models.images("smooth", 4))


SLOW = {"method": "neflag", "n": 1500}


def chunks(count, size=1000):
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("data", [b" " * 20_001, lambda: chunks(30)], ids=["announced", "chunked"])
def test_a_large_body_is_refused(small, data):
    status, _, said = post(small, data() if callable(data) else data)
    assert status == 413 and "at most 20000" in said["error"]


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(small):
    status, _, said = post(small, gzip.compress(b" " * 10**7), **{"Content-Encoding": "gzip"})
    assert status == 413 and "at most 20000" in said["error"]
    status, _, said = post(small, gzip.compress(DATA)[:-9], **{"Content-Encoding": "gzip"})
    assert status == 400 and "ends within its gzip" in said["error"]
    status, _, said = post(small, DATA, **{"Content-Encoding": "br"})
    assert status == 415 and "'br'" in said["error"]


def test_a_body_that_comes_too_slowly_is_refused(small):
    host, port = small.http.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v2/models/smooth/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        )
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(10_000)
    assert b" 408 " in answer and b"did not come within 0.5 seconds" in answer


def test_a_caller_who_goes_frees_its_lanes(server):
    data = body(models.images("smooth", 5), **SLOW)
    host, port = server.http.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v2/models/smooth/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data)
            + data
        )
        wait_until(server, True)
    wait_until(server, False)
