"""A real Triton, of a virtual environment with PyTriton's wheel, in a process of its own.

FLUXPATH_TRITON names the environment; docs/deploying.md says what must be in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ENVIRONMENT = os.environ.get("FLUXPATH_TRITON", "")

FIND = """
import importlib.util, json, numpy, sys
found = {name: importlib.util.find_spec(name) for name in ("pytriton", "fluxpath", "onnxruntime")}
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "numpy": numpy.__version__,
                  **{name: spec and spec.origin for name, spec in found.items()}}))
"""


def missing() -> str | None:
    """Why there is no Triton to ask; None if there is one."""
    if not ENVIRONMENT:
        return "FLUXPATH_TRITON names no environment with nvidia-pytriton"
    found = _found()
    gone = [name for name in ("pytriton", "fluxpath", "onnxruntime") if not found.get(name)]
    if gone:
        return f"FLUXPATH_TRITON names an environment without {', '.join(gone)}"
    if int(found["numpy"].split(".")[0]) > 1:
        return f"its numpy is {found['numpy']}, and PyTriton's Triton answers empty tensors but with 1"
    return None


def _found() -> dict[str, str]:
    try:
        done = subprocess.run(
            [Path(ENVIRONMENT, "bin", "python"), "-c", FIND], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    found: dict[str, str] = json.loads(done.stdout)
    return found


class Server:
    """Triton with one repository, at free ports. log: the file that it writes."""

    def __init__(self, repository: Path, folder: Path) -> None:
        found = _found()
        package = Path(found["pytriton"]).parent
        backend = folder / "backends" / "python"
        backend.mkdir(parents=True)
        stub = package / "tritonserver" / "python_backend_stubs" / found["version"]
        for file in (*(package / "tritonserver" / "backends" / "python").glob("*.*"), *stub.iterdir()):
            (backend / file.name).symlink_to(file)
        http, grpc = _free_ports()
        self.http, self.grpc = f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [package / "tritonserver" / "bin" / "tritonserver", f"--model-repository={repository}",
                 f"--backend-directory={backend.parent}", f"--http-port={http}", f"--grpc-port={grpc}",
                 "--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--allow-metrics=false",
                 "--exit-timeout-secs=10", f"--backend-config=python,shm-region-prefix-name=fluxpath{http}"],
                stdout=log, stderr=log,
                # What the stub imports is found by the python that is first in PATH.
                env={**os.environ, "PATH": f"{ENVIRONMENT}/bin:{os.environ['PATH']}",
                     "LD_LIBRARY_PATH": str(package.parent / "nvidia_pytriton.libs")},
            )  # fmt: skip

    def wait(self, seconds: float = 60) -> None:
        """Until it is ready."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.http}/v2/health/ready"):
                return
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, two)]


@contextlib.contextmanager
def triton(repository: Path) -> Iterator[Server]:
    """A server until the end of the block, which it must leave in order."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(repository, Path(folder))
        try:
            server.wait()
            yield server
        finally:
            code = server.stop()
            said = server.log.read_text(errors="replace")
        assert code == 0 and "Traceback" not in said, said
