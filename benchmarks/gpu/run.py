"""Tests, times and profiles fluxpath within so many seconds, on the machine with the GPU, in the root.

    PYTHONPATH=src:. python -m benchmarks.gpu.run first 300

first:   the driver, the gpu tests, the kernels' GB/s, TorchScript's times beside eager loops', memcheck
onnx:    ONNX Runtime's tests and times, and single evaluations by stack
profile: torch's profiler, ncu, inductor

Each item is a process with its own limit; none stops the others. Rows go to the folder of --out as JSON
lines, as they come, and everything printed to log.txt there. --device cpu tries a stage at sizes whose
figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from benchmarks.gpu import stages
from benchmarks.gpu.place import COMMON, ROOT, out, work
from benchmarks.gpu.stages import Item
from benchmarks.gpu.unpack import environment, unpack

TRIES = 3
TIMEOUT = 124
"""What an item returns that ran past its limit, as timeout(1) has it."""

MARGIN = 3
"""Seconds before its limit in which an item begins nothing more."""


class Stage:
    """One run of a stage: its clock, its log, and the processes in the background."""

    def __init__(self, name: str, seconds: float, device: str) -> None:
        self.name, self.device = name, device
        self._start, self._end = time.monotonic(), time.monotonic() + seconds
        self._environment = environment()
        if device == "cpu":  # several libraries' threads would wait for each other on a small machine
            self._environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        out().mkdir(parents=True, exist_ok=True)
        self._log = (out() / "log.txt").open("a")
        self._behind: list[subprocess.Popen[bytes]] = []

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def say(self, text: str) -> None:
        """Print, and write to the log."""
        print(text, flush=True)
        print(text, file=self._log, flush=True)

    def export(self) -> None:
        """Begin to write the networks' files, on the CPU in the background."""
        hidden = self._environment | {
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1" if self.device == "cpu" else "3",
        }
        for model, files in stages.exports(self.name, self.device).items():
            # One after the other: all at once they took the host's cores from the sides, whose times rose.
            kinds = [kind for kind in files if not _exported(model, kind)]
            if kinds:
                command = ["nice", "-n", "19", sys.executable, "-m", "benchmarks.gpu.exported", model, *kinds]
                with (out() / "exports.txt").open("a") as log:
                    self._behind.append(_begun(command, hidden, log))

    def item(self, item: Item) -> None:
        """Run it, anew where a side crashed it."""
        if item.gpu and self.device == "cpu":
            self.say(f"skipped: {item.name}, which needs a GPU")
            return
        if shutil.which(item.command[0]) is None:
            self.say(f"skipped: {item.name}, for which {item.command[0]} is not installed")
            return
        end = time.monotonic() + item.seconds
        run = f"{self.name} {item.name} {time.time():.0f}"
        for _ in range(TRIES if item.again else 1):
            seconds = min(end - time.monotonic(), self.left() - item.kept)
            if seconds < 2 * MARGIN:
                self.say(f"no time for {item.name}")
                return
            more = ["--run", run, "--until", f"{seconds - MARGIN:.0f}"] if item.again else []
            if self._ran(item.name, [*item.command, *more], seconds) in (0, TIMEOUT):
                return

    def close(self) -> None:
        """Ends what is still being exported."""
        for process in self._behind:
            _end(process)
        self._log.close()

    def summary(self) -> None:
        """In any case, and beyond the stage's time if need be."""
        self._ran("summary", [sys.executable, "-m", "benchmarks.gpu.summary"], 20)

    def _ran(self, name: str, command: list[str], seconds: float) -> int:
        passed = time.monotonic() - self._start
        self.say(f"=== [{passed:.0f} s] {name}, at most {seconds:.0f} s")
        process = _begun(command, self._environment, subprocess.PIPE)
        reader = threading.Thread(target=self._copy, args=(process,))
        reader.start()
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = TIMEOUT
        _end(process)
        reader.join(5)
        self.say(f"=== {name} {'ran out of time' if code == TIMEOUT else f'returned {code}'}")
        return code

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as printed:
            for line in printed:
                self.say(line.decode(errors="replace").rstrip("\n"))


def main(given: list[str] | None = None) -> int:
    """Everything of one stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=stages.STAGES)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, help="the folder of the results (default: $OUT)")
    options = parser.parse_args(given)
    if options.out is not None:
        os.environ["OUT"] = str(options.out)
    begun = time.monotonic()
    unpack()
    stage = Stage(options.stage, options.seconds - (time.monotonic() - begun), options.device)
    try:
        stage.export()
        for item in stages.items(options.stage, options.device):
            stage.item(item)
        stage.summary()
    finally:
        stage.close()
    return 0


def _exported(model: str, kind: str) -> bool:
    precision, _, suffix = kind.partition(".")
    name = f"{model}-{precision}.grad.{suffix}"
    return any((folder / "graphs" / name).exists() for folder in (COMMON, work()))


def _begun(command: list[str], environment: dict[str, str], to: int | IO[str]) -> subprocess.Popen[bytes]:
    """A process with a group of its own, so that it can be ended with all of its children."""
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=to, stderr=subprocess.STDOUT, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
