"""What a server refuses, how it says so, and that it goes on afterwards. Real processes, real sockets."""

from __future__ import annotations

import concurrent.futures
import gzip
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time

import models
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from serving import Process, open_files, serving
from tritonclient.utils import InferenceServerException

IMAGES = models.images("smooth", 4)


def body(images=IMAGES, **parameters):
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.tolist()}
    return json.dumps({"inputs": [tensor], "parameters": parameters}).encode()


def post(server, path="/v2/models/smooth/infer", data=None, **headers):
    """Status, headers and JSON of an answer."""
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("POST", path, body() if data is None else data, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def small(graph):
    """Little room everywhere."""
    with serving(
        f"smooth={graph('smooth')}",
        *("--max-body", 20_000, "--max-json", 15_000, "--max-pixels", 1000, "--max-queue-images", 8),
        *("--max-queue-evaluations", 400_000, "--body-timeout", 0.5),
    ) as process:
        yield process


def chunks(count, size=1000):
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("data", [b" " * 20_001, lambda: chunks(30)], ids=["announced", "chunked"])
def test_a_large_body_is_refused(small, data):
    status, _, said = post(small, data=data() if callable(data) else data)
    assert status == 413 and "at most 20000" in said["error"]


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(small):
    status, _, said = post(small, data=gzip.compress(b" " * 10**7), **{"Content-Encoding": "gzip"})
    assert status == 413 and "at most 20000" in said["error"]
    status, _, said = post(small, data=gzip.compress(body())[:-9], **{"Content-Encoding": "gzip"})
    assert status == 400 and "ends within its gzip" in said["error"]
    status, _, said = post(small, **{"Content-Encoding": "br"})
    assert status == 415 and "'br'" in said["error"]


def test_json_has_a_limit_of_its_own(small):
    status, _, said = post(small, data=b" " * 16_000)
    assert status == 400 and "send tensors as bytes" in said["error"]


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


@pytest.mark.parametrize("begun", [b"", b"POST /v2 HTTP/1.1\r\nHos"])
def test_headers_that_do_not_come_end_the_connection(small, begun):
    host, port = small.http.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(begun)
        assert connection.recv(100) == b""


def test_a_photo_of_many_pixels_is_refused_before_it_is_decoded(small):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (4000, 4000)).save(stream, "PNG")
    status, _, said = post(
        small, data=stream.getvalue(), **{"Inference-Header-Content-Length": "0", "Content-Type": "image/png"}
    )
    assert status == 400 and "4000 x 4000 pixels" in said["error"]


def test_overload_is_refused_with_a_time_and_leaves_nothing_behind(small, smooth):
    """More at a time than there is room for: each answer is right or says when to come again."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        data = body(IMAGES, method="neflag", n=300, seed=1)
        answers = list(pool.map(lambda _: post(small, data=data), range(24)))
    from fluxpath.runtime import NeFLAG

    expected = smooth.attribute(IMAGES, method=NeFLAG(n=300, seed=1)).values
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    for status, headers, said in answers:
        if status == 200:
            (found,) = [o["data"] for o in said["outputs"] if o["name"] == "attribution"]
            np.testing.assert_array_equal(np.array(found, np.float32), expected.reshape(-1))
        else:
            assert 1 <= int(headers["Retry-After"]) <= 60 and "try again later" in said["error"]
    assert post(small)[0] == 200


def test_grpc_tells_overload_and_too_large_messages(small):
    with tritonclient.grpc.InferenceServerClient(small.grpc) as client:
        tensor = tritonclient.grpc.InferInput("image", [3000, 1, 6, 6], "FP32")
        tensor.set_data_from_numpy(np.zeros((3000, 1, 6, 6), np.float32))
        with pytest.raises(InferenceServerException) as caught:
            client.infer("smooth", [tensor])
        assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/v2/models/smooth/infer/more", 404), ("/v2/health/live", 405)]
)
def test_addresses_that_there_are_not(small, path, status):
    found, _, said = post(small, path)
    assert found == status and path in said["error"]


def test_other_peoples_pages_may_not_ask(small):
    assert post(small, Origin="http://evil.example")[0] == 403
    assert post(small, Origin=f"http://{small.http}")[0] == 200


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
        status, headers, _ = post(server, Origin=origin, Authorization=bearer)
        assert status == 200 and headers["access-control-allow-origin"] == origin
        assert post(server, Origin=origin)[0] == 401
        assert post(server, Origin="http://evil.example", Authorization=bearer)[0] == 403


def test_ids_are_taken_over(small):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, headers, _ = post(small, traceparent=parent)
    assert headers["x-request-id"] == "0af7651916cd43dd8448eb211c80319c"
    _, headers, _ = post(small, **{"x-request-id": "mine-1"})
    assert headers["x-request-id"] == "mine-1"
    _, headers, _ = post(small, **{"x-request-id": "a b{}"})
    assert headers["x-request-id"] != "a b{}"
    lines = [line for line in small.log if line.get("request_id") == "0af7651916cd43dd8448eb211c80319c"]
    assert lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c" and lines[0]["status"] == 200


def test_a_token(graph):
    with serving(f"smooth={graph('smooth')}", FLUXPATH_TOKEN="secret") as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            status, told, said = post(server, **headers)
            assert status == 401 and told["WWW-Authenticate"] == "Bearer" and "token" in said["error"]
        assert post(server, Authorization="Bearer secret")[0] == 200
        with tritonclient.http.InferenceServerClient(server.http) as client:
            assert client.is_server_ready()
        with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
            with pytest.raises(InferenceServerException) as caught:
                client.get_model_metadata("smooth")
            assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
            assert client.get_model_metadata("smooth", headers={"authorization": "Bearer secret"})
        assert "secret" not in server.text


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
        pending = [pool.submit(post, server, data=body(method="neflag", n=500)) for _ in range(3)]
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert health(server) == 503
        assert post(server)[0] == 200  # still, so that whoever balances has time to see it
        assert [p.result()[0] for p in pending] == [200, 200, 200]
    assert server.wait() == 0
    assert server.log[-1]["message"] == "stopped" and server.log[-1]["unfinished"] == 0


def test_work_that_takes_longer_than_a_stop_may_take_is_told(graph):
    server = Process(f"smooth={graph('smooth')}", "--drain-timeout", "0.2", "--max-queue-evaluations", 10**9)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(post, server, data=body(method="neflag", n=10**6))
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


def test_models_are_loaded_from_one_folder_only(graph, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "one.grad.onnx").write_bytes(graph("smooth").read_bytes())
    (folder / "broken.onnx").write_bytes(b"nothing")
    (tmp_path / "outside.onnx").write_bytes(graph("smooth").read_bytes())
    (folder / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    with (
        serving("--model-folder", folder) as server,
        tritonclient.http.InferenceServerClient(server.http) as client,
    ):
        assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
        client.load_model("one")
        assert client.is_model_ready("one")
        before = open_files(server.process.pid)
        for _ in range(3):
            client.load_model("one")
        tensor = tritonclient.http.InferInput("image", list(IMAGES.shape), "FP32")
        tensor.set_data_from_numpy(IMAGES)
        assert client.infer("one", [tensor]).as_numpy("attribution") is not None
        client.unload_model("one")
        assert not client.is_model_ready("one")
        for name in ("../outside", "..%2Foutside", "link", "none", "outside", "/etc/passwd"):
            with pytest.raises(InferenceServerException):
                client.load_model(name)
        with pytest.raises(InferenceServerException, match="no intact gradient graph"):
            client.load_model("broken")
        reasons = {r["name"]: r["reason"] for r in client.get_model_repository_index()}
        assert "no intact gradient graph" in reasons["broken"] and reasons["one"] == "unloaded"
        assert open_files(server.process.pid) <= before
