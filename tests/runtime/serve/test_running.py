"""The process: its sockets, TLS, and how it ends."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import models
import pytest
import tritonclient.grpc
import tritonclient.http
from serving import Process, body, post, serving

from fluxpath.errors import FluxpathError
from fluxpath.runtime.serve.running import listener_of
from fluxpath.runtime.serve.settings import Settings

DATA = body(models.images("smooth", 4))


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_tls(graph, certificate):
    flags = ("--tls-certificate", certificate / "cert.pem", "--tls-key", certificate / "key.pem")
    with serving(f"smooth={graph('smooth')}", *flags) as server:
        context = ssl.create_default_context(cafile=certificate / "cert.pem")
        connection = http.client.HTTPSConnection("localhost", server.ready["port"], context=context)
        connection.request("GET", "/v2/health/ready")
        assert connection.getresponse().read() == b'{"ready":true}'
        connection.close()
        with tritonclient.grpc.InferenceServerClient(
            f"localhost:{server.ready['grpc_port']}",
            ssl=True,
            root_certificates=str(certificate / "cert.pem"),
        ) as client:
            assert client.is_server_ready()


def health(server):
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status
    finally:
        connection.close()


def test_sigterm_ends_accepted_work_first(graph):
    server = Process(f"smooth={graph('smooth')}", "--drain-delay", "0.5")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pending = [
            pool.submit(post, server, data=body(models.images("smooth", 4), method="neflag", n=500))
            for _ in range(3)
        ]
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert health(server) == 503
        assert post(server, DATA)[0] == 200  # still, so that whoever balances has time to see it
        assert [p.result()[0] for p in pending] == [200, 200, 200]
    assert server.wait() == 0
    assert server.log[-1]["message"] == "stopped" and server.log[-1]["unfinished"] == 0


def test_work_that_takes_longer_than_a_stop_may_take_is_told(graph):
    server = Process(f"smooth={graph('smooth')}", "--drain-timeout", "0.2", "--max-queue-evaluations", 10**9)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(post, server, data=body(models.images("smooth", 4), method="neflag", n=10**6))
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        status, _, said = pending.result()
    assert status == 503 and "closed" in said["error"]
    assert server.wait() == 0


def test_a_second_sigterm_ends_at_once(graph):
    server = Process(f"smooth={graph('smooth')}", "--drain-delay", "60")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.stop() == 128 + signal.SIGTERM


def test_a_connection_too_many_is_told_in_json(graph):
    with serving(f"smooth={graph('smooth')}", "--max-connections", "2") as server:
        host, port = server.http.split(":")
        open_ones = [http.client.HTTPConnection(host, int(port), timeout=5) for _ in range(2)]
        for connection in open_ones:
            connection.request("GET", "/v2/health/ready")
            assert connection.getresponse().read() == b'{"ready":true}'
        third = http.client.HTTPConnection(host, int(port), timeout=5)
        third.request("POST", "/v2/models/smooth/infer", DATA)
        answer = third.getresponse()
        assert (answer.status, answer.headers["content-type"]) == (503, "application/json")
        assert "more than 2 connections" in json.loads(answer.read())["error"]
        assert answer.headers["retry-after"] == "1" and answer.headers["connection"] == "close"
        third.close()
        open_ones.pop().close()
        deadline = time.monotonic() + 5
        while health(server) != 200:  # until the server has seen that one has gone
            assert time.monotonic() < deadline
        open_ones.pop().close()


def test_replicas_behind_one_port(graph):
    """Also when one is killed: what it computed is answered 503, all else as by one process."""
    with serving(f"smooth={graph('smooth')}", "--replicas", "2", "--warmup") as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(server, DATA), range(40)))
            assert {status for status, *_ in answers} == {200}
            children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
            futures = [pool.submit(post, server, DATA) for _ in range(60)]
            os.kill(int(children.split()[0]), signal.SIGKILL)
            statuses = [future.result()[0] for future in futures]
        assert set(statuses) <= {200, 503} and statuses.count(200) > 0
        assert health(server) == 200
        deadline = time.monotonic() + 60
        while not any(line["message"] == "a replica has started" for line in server.log):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
            assert client.is_model_ready("smooth")


def test_a_model_whose_processes_hang_holds_up_nobody_else(graph):
    """Neither the event loop, by calls that their pipes have no room for, nor the threads, by predictions."""
    models_of = (f"smooth={graph('smooth')}", f"relu={graph('relu')}")
    flags = ("--replicas", "2", "--workers", "1", "--max-images", "600", "--max-queue-images", "10000")
    with serving(*models_of, *flags) as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
        hung, others = body(models.images("smooth", 600), deadline_ms=3000), body(models.images("relu", 2))
        predicted = {"outputs": [{"name": "logits"}]}
        hung_predicted = json.dumps(json.loads(DATA) | predicted | {"parameters": {"deadline_ms": 500}})
        others_predicted = json.dumps(json.loads(others) | predicted)
        stopped = [int(child) for child in children.split()[:2]]
        for child in stopped:
            os.kill(child, signal.SIGSTOP)
        try:
            with concurrent.futures.ThreadPoolExecutor(11) as pool:
                pending = [pool.submit(post, server, data) for data in [hung] * 8 + [hung_predicted] * 3]
                assert {future.result()[0] for future in pending} == {504}
            assert health(server) == 200
            for data in (others, others_predicted):
                assert post(server, data, "/v2/models/relu/infer")[0] == 200
        finally:
            for child in stopped:
                os.kill(child, signal.SIGCONT)
        assert post(server, DATA)[0] == 200
