"""Several processes are one explainer, also while some of them end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import ModuleType

import models
import numpy as np
import pytest

from fluxpath.errors import ArtifactError, ClosedError, DeadlineError, FluxpathError, InputError
from fluxpath.runtime import MFABA, ExpectedGradients, Explainer, IntegratedGradients, NeFLAG
from fluxpath.runtime.replicas import Replicas
from fluxpath.runtime.replicas.messages import ReplicaError
from fluxpath.runtime.walk import Recorded

IMAGES = models.images("smooth", 6)
LONG = NeFLAG(n=20_000, max_steps=20)
METHODS = (
    MFABA(),
    NeFLAG(n=3, seed=2),
    IntegratedGradients(steps=5, baseline=IMAGES[0]),
    ExpectedGradients(background=IMAGES, n=4),
)


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_results_are_those_of_one_explainer(graph, replicas, method):
    with Explainer(graph("smooth"), threads=1) as explainer:
        expected = explainer.attribute(IMAGES, method=method)
    found = replicas.submit(IMAGES, method=method).result(60)
    assert found.values.tobytes() == expected.values.tobytes()
    assert repr(found) == repr(expected)
    assert found.subject.images.tobytes() == expected.subject.images.tobytes()
    assert found.subject.run() == expected.subject.run()


def test_predictions_names_and_photos(graph, replicas):
    photo = (IMAGES[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    with Explainer(graph("smooth"), threads=1) as explainer:
        assert replicas.predict(IMAGES).logits.tobytes() == explainer.predict(IMAGES).logits.tobytes()
        assert replicas.prepare(photo).tobytes() == explainer.prepare(photo).tobytes()
        assert (replicas.shape, replicas.slots) == (explainer.shape, 2 * explainer.slots)
        found = replicas.submit(photo, method="saliency", top=2).result(60)
        assert found.target == explainer.attribute(photo, method="saliency", top=2).target


def test_a_walk_comes_back(graph, replicas):
    recorded = Recorded(MFABA())
    replicas.submit(IMAGES[:1], method=recorded).result(60)
    with Explainer(graph("smooth"), threads=1) as explainer:
        expected = explainer.walk(IMAGES[0], method=MFABA())
    found = recorded.walk(replicas.shape)
    assert found.points.tobytes() == expected.points.tobytes() and len(found) > 1


def test_both_work(replicas):
    futures = [replicas.submit(IMAGES, method=NeFLAG(n=50)) for _ in range(8)]
    loads = [replica.load for replica in replicas._replicas]
    assert abs(loads[0] - loads[1]) <= 300
    for future in futures:
        future.result(60)
    until(lambda: replicas.stats().done == 8)
    assert all(replica.stats.done == 4 for replica in replicas._replicas)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "none"}, "there is no method"),
        ({"target": 99}, "target"),
        ({"images": np.full((1, 2, 3), 0.5, np.float32)}, "images"),
        ({"deadline": -1}, "deadline"),
    ],
)
def test_wrong_input_is_told(replicas, given, message):
    with pytest.raises(InputError, match=message):
        replicas.submit(**{"images": IMAGES, **given}).result(60)
    replicas.submit(IMAGES).result(60)


def test_a_deadline(replicas):
    with pytest.raises(DeadlineError):
        replicas.submit(IMAGES, method=LONG, deadline=0.05).result(60)


def test_cancelling_frees_the_lanes(replicas):
    future = replicas.submit(IMAGES, method=LONG)
    until(lambda: future.progress.began is not None)
    assert future.cancel() and future.cancelled()
    until(lambda: replicas.stats().cancelled == 1)
    until(lambda: [replica.load for replica in replicas._replicas] == [0, 0])


@pytest.fixture
def hung(replicas):
    """The first of two processes, which reads nothing until it is told to go on."""
    replica = replicas._replicas[0]
    os.kill(replica.process.pid, signal.SIGSTOP)
    until(lambda: Path(f"/proc/{replica.process.pid}/stat").read_text().rpartition(") ")[2][0] == "T")
    yield replica
    os.kill(replica.process.pid, signal.SIGCONT)


def test_asking_and_cancelling_never_wait_for_a_process_that_hangs(replicas, hung):
    """More than its pipe has room for; when it goes on, it answers what is still wanted, and has no load."""
    many = np.repeat(IMAGES, 400, 0)
    replicas._replicas[1].alive = False  # nobody else is asked
    futures = []

    def ask():
        for _ in range(5):
            futures.append(replicas.submit(many, method="saliency"))
            futures.append(replicas.submit_prediction(IMAGES))
        for future in futures[2:]:
            assert future.cancel()
        futures.append(replicas.submit(IMAGES))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(30)
    replicas._replicas[1].alive = True
    os.kill(hung.process.pid, signal.SIGCONT)
    assert not thread.is_alive() and len(futures) == 11
    assert len(futures[0].result(60)) == len(many) and len(futures[-1].result(60)) == 6
    until(lambda: hung.load == 0)


def test_a_process_that_hangs_is_asked_no_more_while_others_have_less_to_do(replicas, hung):
    lost = replicas.submit(IMAGES)
    assert lost.replica is hung and lost.cancel()
    for _ in range(5):
        replicas.submit(IMAGES).result(60)
        assert len(replicas.predict(IMAGES)) == 6
    assert hung.load == 6 and not hung._asked  # its images are let go
    os.kill(hung.process.pid, signal.SIGCONT)
    until(lambda: hung.load == 0)
    assert replicas.submit(IMAGES).replica is hung


def test_progress_is_reported(replicas):
    future = replicas.submit(IMAGES, method=NeFLAG(n=3000))
    until(lambda: 0 < future.progress.ended < future.progress.lanes)
    assert future.progress.steps > 0
    future.cancel()


def test_a_process_that_is_killed(replicas):
    """What it computed fails at once, what others compute does not, and another one takes its place."""
    lost, kept = (replicas.submit(IMAGES, method=LONG) for _ in range(2))
    short = replicas.submit(IMAGES, method=NeFLAG(n=5))
    where = lost.replica
    os.kill(where.process.pid, signal.SIGKILL)
    with pytest.raises(ReplicaError, match=r"has ended \(exit code -9\): ask again"):
        lost.result(30)
    assert not kept.done() or kept.exception() is None
    try:
        short.result(60)
    except ReplicaError:
        assert short.replica is where
    for _ in range(10):
        replicas.submit(IMAGES).result(60)
    until(lambda: replicas.alive == 2)
    assert where.process.pid not in replicas.processes
    kept.cancel()
    done = replicas.stats().done
    assert done >= 10  # also of the process that has ended


def test_all_are_killed_and_come_back(replicas):
    for process in replicas.processes:
        os.kill(process, signal.SIGKILL)
    until(lambda: replicas.alive < 2)
    answered = 0
    end = time.monotonic() + 60
    while not answered:
        assert time.monotonic() < end
        try:
            replicas.submit(IMAGES).result(60)
            answered += 1
        except ClosedError:
            time.sleep(0.05)


def test_signals_are_for_the_one_who_started_them(replicas):
    for process in replicas.processes:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process, number)
    replicas.submit(IMAGES).result(60)
    assert replicas.alive == 2


def test_closing_fails_what_runs(replicas):
    future = replicas.submit(IMAGES, method=LONG)
    replicas.close()
    with pytest.raises(ClosedError, match="is closed"):
        future.result(30)
    with pytest.raises(ClosedError, match="is closed"):
        replicas.submit(IMAGES)


def test_processes_that_hang_share_the_time_to_end(replicas, monkeypatch):
    """One bound for all of them: the first one that hangs leaves the others nothing of it."""
    waited = []
    for replica in replicas._replicas:
        os.kill(replica.process.pid, signal.SIGSTOP)
        wait = replica.process.wait

        def bounded(timeout=None, wait=wait):
            waited.append(timeout)
            return wait(timeout)

        monkeypatch.setattr(replica.process, "wait", bounded)
    monkeypatch.setattr("fluxpath.runtime.replicas.replicas.PATIENCE", 0.3)
    replicas.close()
    assert [replica.process.returncode for replica in replicas._replicas] == [-signal.SIGKILL] * 2
    asked = [timeout for timeout in waited if timeout not in (None, 1)]  # 1: the threads that read
    assert 0 < asked[0] <= 0.3 and asked[1] == 0


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(ArtifactError):
        Replicas(tmp_path / "x.onnx", 2)


@pytest.mark.parametrize(
    ("count", "threads", "named"),
    [(0, 1, "count"), (1025, 1, "count"), (1, 0, "threads"), (1, 1025, "threads")],
)
def test_how_many(graph, monkeypatch, count, threads, named):
    monkeypatch.delattr("fluxpath.runtime.replicas.replicas.Replica")  # none is started
    with pytest.raises(InputError, match=rf"{named} is {locals()[named]}, it must be .*1.*1024"):
        Replicas(graph("smooth"), count, threads=threads)


def test_an_error_of_any_type_while_opening(graph):
    with pytest.raises(TypeError, match="nonsense"):
        Replicas(graph("smooth"), 2, nonsense=1)


def test_another_file_in_its_place(graph, tmp_path, caplog):
    """Is not opened in the place of a process that was killed; the file itself is, once it is back."""
    path, other = tmp_path / "m.onnx", tmp_path / "other.onnx"
    shutil.copy(graph("smooth"), path)
    shutil.copy(graph("relu"), other)
    with closing(Replicas(path, 1, threads=1)) as replicas:
        expected = replicas.submit(IMAGES).result(60)
        os.replace(other, path)
        os.kill(replicas.processes[0], signal.SIGKILL)
        until(lambda: any("put it back" in getattr(r, "error", "") for r in caplog.records), 60)
        with pytest.raises(ClosedError, match="no process of this model is ready"):
            replicas.submit(IMAGES)
        shutil.copy(graph("smooth"), other)
        os.replace(other, path)
        until(lambda: replicas.alive, 60)
        assert replicas.submit(IMAGES).result(60).values.tobytes() == expected.values.tobytes()


def test_what_cannot_go_there_fails_alone(graph, replicas, monkeypatch):
    before = replicas.processes
    here = ModuleType("only_here")
    monkeypatch.setitem(sys.modules, "only_here", here)
    exec("from fluxpath.runtime import Saliency\nclass Own(Saliency): pass", vars(here))
    with pytest.raises(InputError, match=r"cannot read what was sent .*only_here.* that it can import"):
        replicas.submit(IMAGES, method=here.Own()).result(60)
    with pytest.raises(InputError, match="cannot be sent to another process"):
        replicas.submit(IMAGES, top=lambda: 1)
    replicas.submit(IMAGES).result(60)
    assert replicas.processes == before and replicas.alive == 2


OWN = """
import sys
from fluxpath.errors import InputError
from fluxpath.runtime import Saliency
THERE = "pytest" not in sys.modules
class Unreadable(Saliency):
    def __reduce__(self):
        return (int, ("none",)) if THERE else (Unreadable, ())
class Unsendable(Saliency):
    def __reduce__(self):
        return (Unsendable, (), {"held": sys} if THERE else {})
class OddError(InputError):
    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")
class Raises(Saliency):
    def start(self, lanes, slots, numbers):
        raise OddError("this", "that")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    import own_methods

    yield own_methods
    del sys.modules["own_methods"]


def test_answers_that_cannot_come_back(own, replicas):
    """An unsendable one fails alone; after an unreadable one nothing of that process can be read."""
    before = replicas.processes
    with pytest.raises(FluxpathError, match="the answer cannot be sent to another process"):
        replicas.submit(IMAGES[:1], method=Recorded(own.Unsendable())).result(60)
    with pytest.raises(FluxpathError, match="OddError: this and that"):
        replicas.submit(IMAGES, method=own.Raises()).result(60)
    assert replicas.processes == before and replicas.alive == 2
    unread = replicas.submit(IMAGES[:1], method=Recorded(own.Unreadable()))
    with pytest.raises(ReplicaError, match="has ended"):
        unread.result(60)
    until(lambda: replicas.alive == 2)
    assert unread.replica.process.poll() == 0 and unread.replica.process.pid not in replicas.processes


def test_warm(replicas):
    replicas.warmup(predict=True)
    until(lambda: replicas.stats().done >= 8)
