"""The process of a replica ends with the one that started it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from fluxpath.runtime import Explainer
from fluxpath.runtime.replicas import worker
from fluxpath.runtime.replicas.messages import Start

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


def test_what_it_tells_of_the_file_is_of_what_it_opened(graph, tmp_path, monkeypatch):
    """Also where the file is replaced a moment before."""
    path = tmp_path / "m.grad.onnx"
    shutil.copy(graph("smooth"), path)

    class Late(Explainer):
        def __init__(self, given, **options):
            shutil.copy(graph("relu"), given)
            super().__init__(given, **options)

    monkeypatch.setattr(worker, "Explainer", Late)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        monkeypatch.setattr(sys, "argv", ["worker", str(os.dup(theirs.fileno()))])
    thread = threading.Thread(target=worker.main)
    with ours:
        ours.send(Start(str(path), {"threads": 1}))
        thread.start()
        ready = ours.recv()
    thread.join(30)
    assert not thread.is_alive()
    assert ready.digest == hashlib.sha256(graph("relu").read_bytes()).hexdigest()
