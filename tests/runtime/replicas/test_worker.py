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


def test_files_of_the_current_folder_are_not_imported(graph, tmp_path):
    for name in ("json", "numpy", "onnxruntime", "signal", "fluxpath"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('of the current folder')")
    program = f"import os, sys; os.chdir(sys.argv[2]){PROGRAM.replace('time.sleep(60)', 'replicas.close()')}"
    command = [sys.executable, "-P", "-c", program, graph("smooth"), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and len(done.stdout.split()) == 2, done.stderr


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
