"""One writer at a time, whoever the other is, and nothing that a user has to clean up after it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sinks
from sinks import ITEMS, METHOD, SINKS, check

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.records import held
from fluxpath.runtime.records.held import Held

BUSY = r"another run is writing to '.*out': wait until it has ended, or write elsewhere"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def hold(log: Path) -> Held:
    return Held(log, log.with_name("out"))


def test_one_at_a_time_and_then_the_next(log):
    first = hold(log)
    assert first.created
    for _ in range(2):
        with pytest.raises(InputError, match=BUSY):
            hold(log)
    first.release()
    first.release()
    second = hold(log)
    assert not second.created
    second.release(remove=True)
    assert not log.exists()


def test_threads_of_one_process_exclude_one_another(log):
    got: list[object] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        try:
            got.append(hold(log))
        except InputError as error:
            got.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Held) for one in got) == 1 and len(got) == 8
    next(one for one in got if isinstance(one, Held)).release()


HOLDING = """
import sys
from pathlib import Path
from fluxpath.runtime.records.held import Held
holding = Held(Path(sys.argv[1]), Path("out"))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_process_holds_nothing(log):
    command = [sys.executable, "-c", HOLDING, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=BUSY):
            hold(log)
        other.kill()
    hold(log).release(remove=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_what_its_parent_lets_go(log):
    first = hold(log)
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there)
        os.read(here, 1)
        os._exit(0)
    first.release()
    hold(log).release()
    os.close(there)
    os.waitpid(child, 0)
    os.close(here)


def test_a_file_deleted_before_it_is_locked_is_made_again(log, monkeypatch):
    lock = held._lock

    def late(descriptor, output):
        monkeypatch.setattr(held, "_lock", lock)
        log.unlink()  # as its last holder does at its end
        return lock(descriptor, output)

    monkeypatch.setattr(held, "_lock", late)
    holding = hold(log)
    holding.check()
    with pytest.raises(InputError, match=BUSY):
        hold(log)
    holding.release()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_or_replaced_file_is_noticed(log, replaced):
    holding = hold(log)
    holding.check()
    log.unlink()
    if replaced:
        log.write_text("somebody's")
    with pytest.raises(FluxpathError, match=r"'.*out' is not complete: somebody deleted or replaced '.*log'"):
        holding.check()
    holding.release(remove=True)
    assert log.exists() == replaced


def test_a_file_system_without_locks_is_said(log, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(UserWarning, match="cannot be locked here .*: let no other run write to it"):
        hold(log).release()


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("resume", [True, False])
def test_a_run_beside_another_is_refused_and_harms_nothing(explainer, expected, tmp_path, name, resume):
    path, refused = f"{tmp_path}/{name}", []

    def source():
        yield from ITEMS[:6]
        with pytest.raises(InputError, match=r"another run is writing to '.*'") as error:
            explainer.attribute_many(ITEMS[::-1], path, method=METHOD, resume=resume)
        refused.append(error)
        yield from ITEMS[6:]

    for _ in range(2):  # the first run's output is there in the second
        explainer.attribute_many(source(), path, method=METHOD, resume=False)
        check(tmp_path / name, expected)
    assert len(refused) == 2


TWO = """
import sys
sys.path[:0] = [{helpers!r}]
import sinks as t
from fluxpath.errors import InputError
from fluxpath.runtime import Explainer

def source():
    sys.stdin.readline()
    yield from t.ITEMS

with Explainer.from_session(t.Pictures(), slots=2) as explainer:
    try:
        explainer.attribute_many(source(), {sink!r}, method=t.METHOD)
        print("written")
    except InputError as error:
        print("refused" if "another run" in str(error) else error)
"""


@pytest.mark.parametrize("name", ["out.npz", "folder/"])
def test_of_processes_that_start_together_one_writes(expected, tmp_path, name):
    script = TWO.format(helpers=str(Path(sinks.__file__).parent), sink=f"{tmp_path}/{name}")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    # One is refused and ends; only then may the other go on.
    with selectors.DefaultSelector() as waiting:
        for process in processes:
            waiting.register(process.stdout, selectors.EVENT_READ)
        waiting.select()
    said = [p.communicate("go\n")[0].strip() for p in processes]
    assert sorted(said) == ["refused", "written"]
    check(tmp_path / name, expected)
