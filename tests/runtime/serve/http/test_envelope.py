"""Tokens, origins, ids, and addresses that there are not."""

from __future__ import annotations

import http.client
import time

import httpx
import models
import pytest
import tritonclient.grpc
import tritonclient.http
from serving import body, post, serving
from tritonclient.utils import InferenceServerException

DATA = body(models.images("smooth", 4))


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/v2/models/smooth/infer/more", 404), ("/v2/health/live", 405)]
)
def test_addresses_that_there_are_not(small, path, status):
    found, _, said = post(small, DATA, path)
    assert found == status and path in said["error"]


def test_other_peoples_pages_may_not_ask(small):
    assert post(small, DATA, Origin="http://evil.example")[0] == 403
    assert post(small, DATA, Origin=f"http://{small.http}")[0] == 200


def test_pages_of_the_origin_that_was_named_may_ask(graph):
    origin = "http://page.example"
    with serving(f"smooth={graph('smooth')}", "--cors", origin, FLUXPATH_TOKEN="secret") as server:
        host, port = server.http.split(":")
        connection = http.client.HTTPConnection(host, int(port))
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        connection.request("OPTIONS", "/v2/models/smooth/infer", headers=asked)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.headers["access-control-allow-origin"] == origin
        connection.close()
        bearer = "Bearer secret"
        status, headers, _ = post(server, DATA, Origin=origin, Authorization=bearer)
        assert status == 200 and headers["access-control-allow-origin"] == origin
        assert post(server, DATA, Origin=origin)[0] == 401
        assert post(server, DATA, Origin="http://evil.example", Authorization=bearer)[0] == 403


def test_ids_are_taken_over(small):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, headers, _ = post(small, DATA, traceparent=parent)
    assert headers["x-request-id"] == "0af7651916cd43dd8448eb211c80319c"
    _, headers, _ = post(small, DATA, **{"x-request-id": "mine-1"})
    assert headers["x-request-id"] == "mine-1"
    _, headers, _ = post(small, DATA, **{"x-request-id": "a b{}"})
    assert headers["x-request-id"] != "a b{}"
    deadline = time.monotonic() + 10  # lines are written together, and so a little later
    while not (lines := [each for each in small.log if each.get("request_id") == parent.split("-")[1]]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c" and lines[0]["status"] == 200


def test_a_token(graph):
    with serving(f"smooth={graph('smooth')}", FLUXPATH_TOKEN="secret") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            status, told, said = post(server, DATA, **headers)
            assert status == 401 and told["WWW-Authenticate"] == "Bearer" and "token" in said["error"]
        assert post(server, DATA, Authorization="Bearer secret")[0] == 200
        with tritonclient.http.InferenceServerClient(server.http) as client:
            assert client.is_server_ready()
        with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
            with pytest.raises(InferenceServerException) as caught:
                client.get_model_metadata("smooth")
            assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
            assert client.get_model_metadata("smooth", headers={"authorization": "Bearer secret"})
        assert "secret" not in server.text


@pytest.mark.parametrize(("flags", "status"), [((), 401), (("--open-metrics",), 200)])
def test_metrics_need_the_token_unless_they_are_open(graph, flags, status):
    with serving(f"smooth={graph('smooth')}", *flags, FLUXPATH_TOKEN="secret") as server:
        for path, expected in (("/metrics", status), ("/v2/models/smooth", 401), ("/v2/health/ready", 200)):
            assert httpx.get(f"http://{server.http}{path}").status_code == expected
        bearer = {"Authorization": "Bearer secret"}
        assert httpx.get(f"http://{server.http}/metrics", headers=bearer).status_code == 200
