"""A Ray cluster of this machine in a process of its own, and what runs in it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxpath.runtime import NeFLAG

METHOD = NeFLAG(n=5, seed=5)
OPTIONS = ["--method", "neflag", "--set", "n=5", "--set", "seed=5"]
"""The same on the command line."""
ALONE = {"slots": 1}
"""Lanes are evaluated alone: among others, ONNX Runtime can round small matrix products otherwise."""

# The clusters' own secret, the same for all processes of the tests; Ray reads it when it is imported.
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))

HELD = """
import logging, sys, ray
found = ray.init("local", num_cpus={cpus}, include_dashboard=False, logging_level=logging.ERROR,
                 object_store_memory=100 * 2**20, log_to_driver=False)
print(found.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""


@contextmanager
def held(cpus: int) -> Iterator[tuple[str, int]]:
    """The address, and the process that all of the cluster's descend from."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD.format(cpus=cpus)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, "the cluster did not start"
    try:
        yield address, process.pid
    finally:
        finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    """End a process that holds a cluster, and wait for all of the cluster's to be gone."""
    below = set(descendants(process.pid))
    process.communicate(timeout=60)
    end = time.monotonic() + 20
    while any(alive(one) for one in below) and time.monotonic() < end:
        time.sleep(0.05)


def descendants(process: int) -> Iterator[int]:
    """All processes below one."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(above, []).append(int(folder.name))
    rest = list(children.get(process, ()))
    while rest:
        one = rest.pop()
        yield one
        rest += children.get(one, ())


def called(process: int, name: str) -> list[int]:
    """The cluster's processes whose command begins so, as ray::MapWorker."""
    found = []
    for one in descendants(process):
        try:
            command = Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(name.encode()):
            found.append(one)
    return found


def alive(process: int) -> bool:
    """Whether it runs, and is no zombie."""
    try:
        os.kill(process, 0)
        return (Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except OSError:
        return False


class Application:
    """A Ray Serve application on a cluster of its own, as `serve_on_ray.py` makes it."""

    def __init__(self, models: list[str], **options: object) -> None:
        given = {"models": models, "app": options}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("serve_on_ray.py"), json.dumps(given)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip
        self.ready = json.loads(self._line("{"))

    def _line(self, begin: str) -> str:
        """The next line that begins so: Ray writes there too, as of a process that was killed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(begin):
                return line
        self._errors.seek(0)
        raise AssertionError(self._errors.read())

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.ready['port']}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ready['grpc_port']}"

    def replicas(self) -> list[int]:
        """The processes that compute."""
        return called(self.process.pid, "ray::ServeReplica:default:Engine")

    def tell(self, what: str) -> None:
        """Have the application deleted, which waits for its end, or options changed (JSON)."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._line("done")

    def close(self) -> None:
        """End everything."""
        finish(self.process)
        self._errors.close()
