"""A server in a process of its own, as users start it, and requests to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
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
