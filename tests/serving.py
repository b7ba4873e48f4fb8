"""A server in a process of its own, as users start it, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Process:
    """`fluxpath serve` at free ports. log: what it has written, parsed."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        command = [sys.executable, "-m", "fluxpath", "serve", *map(str, arguments)]
        for flag in ("--port", "--grpc-port"):
            if flag not in command:
                command += [flag, "0"]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self.log: list[dict[str, Any]] = []
        self.text = ""
        for line in self._lines():
            if line.get("message") == "ready":
                break
        else:
            raise AssertionError(f"the server did not start: {self.text}")
        self.ready = line
        self._reader = threading.Thread(target=lambda: list(self._lines()), daemon=True)
        self._reader.start()

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.text += text
            with contextlib.suppress(ValueError):
                self.log.append(json.loads(text))
                yield self.log[-1]

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.ready['port']}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ready['grpc_port']}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout: float = 20) -> int:
        """The exit code."""
        try:
            code = self.process.wait(timeout)
        finally:
            self.process.kill()
        self._reader.join(5)
        self.process.stderr.close()
        return code


@contextlib.contextmanager
def serving(*arguments: object, **environment: str) -> Iterator[Process]:
    """A server until the end of the block; it must not have failed at anything."""
    server = Process(*arguments, **environment)
    try:
        yield server
    finally:
        server.stop()
    assert "Traceback" not in server.text, server.text


def open_files(process: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def body(images: Any, **parameters: Any) -> bytes:
    """The JSON of a request."""
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.tolist()}
    return json.dumps({"inputs": [tensor], "parameters": parameters}).encode()


def post(
    server: Process, data: Any, path: str = "/v2/models/smooth/infer", **headers: str
) -> tuple[int, Any, Any]:
    """Status, headers and JSON of an answer."""
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def running(server: Process) -> dict[str, Any]:
    """What of the model smooth waits or runs."""
    with urllib.request.urlopen(f"http://{server.http}/v2/models/smooth/stats") as answer:
        return json.load(answer)["model_stats"][0]["pending"]


def wait_until(server: Process, busy: bool, seconds: float = 5.0) -> None:
    """Return when something of it runs, or nothing any more."""
    end = time.monotonic() + seconds
    while bool(running(server)["images"]) != busy:
        assert time.monotonic() < end, "nothing runs" if busy else "lanes of a request that is over still run"
        time.sleep(0.01)
