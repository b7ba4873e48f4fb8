"""What is told of the machine is what the system says."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from fluxpath import machine


def test_the_cores_are_those_that_this_process_may_use():
    one = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from fluxpath.machine import cores; print(cores())"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"
    assert machine.cores() == len(os.sched_getaffinity(0))


def test_where_the_system_has_no_such_call(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == os.cpu_count()


def test_versions_are_those_that_are_installed():
    assert machine.installed("numpy") == np.__version__
    assert machine.installed("no-such-package") is None
