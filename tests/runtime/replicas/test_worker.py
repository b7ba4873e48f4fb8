"""The process of a replica ends with the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys, time
from fluxpath.runtime.replicas import Replicas
replicas = Replicas(sys.argv[1], 2, threads=1)
print(*replicas.processes, flush=True)
time.sleep(60)
"""


def test_nobody_is_left_over(graph):
    started = subprocess.Popen([sys.executable, "-c", PROGRAM, graph("smooth")], stdout=subprocess.PIPE)
    processes = [int(word) for word in started.stdout.readline().split()]
    assert len(processes) == 2
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    started.stdout.close()
    end = time.monotonic() + 20
    while any(running(process) for process in processes):
        assert time.monotonic() < end
        time.sleep(0.05)


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
