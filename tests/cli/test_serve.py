"""`fluxpath serve` on the command line: what cannot start says why in one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest


def run(*arguments):
    command = [sys.executable, "-m", "fluxpath", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "no model was given"),
        (["missing.grad.onnx"], "missing.grad.onnx"),
        (["MODEL", "--port", "70000"], "port is 70000"),
        (["MODEL", "--method", "magic"], "there is no method 'magic'"),
        (["MODEL", "--tls-key", "key.pem"], "go together"),
        (["MODEL", "--tls-key", "none.pem", "--tls-certificate", "none.pem"], "none.pem"),
        (["MODEL", "--port", "TAKEN", "--grpc-port", "0"], "take another --port"),
        (["MODEL", "--port", "0", "--grpc-port", "TAKEN"], "take another --grpc-port"),
    ],
)
def test_what_cannot_start_says_why(graph, taken, flags, said):
    words = {"MODEL": graph("smooth"), "TAKEN": taken}
    done = run(*(words.get(flag, flag) for flag in flags))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert said in done.stderr.splitlines()[-1]


def test_every_setting_is_a_flag():
    from fluxpath.runtime.serve import Settings

    text = run("--help").stdout
    for name in Settings.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in text
