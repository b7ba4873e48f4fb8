"""Several processes are one explainer, also while some of them end."""

from __future__ import annotations

import os
import signal
import time

import models
import numpy as np
import pytest

from fluxpath.errors import ArtifactError, ClosedError, DeadlineError, InputError
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
    assert [replica.load for replica in replicas._replicas] == [0, 0]


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


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(ArtifactError):
        Replicas(tmp_path / "x.onnx", 2)


def test_how_many(graph):
    with pytest.raises(InputError, match="count"):
        Replicas(graph("smooth"), 0)


def test_warm(replicas):
    replicas.warmup(predict=True)
    assert replicas.stats().evaluations == 0 or replicas.stats().done >= 8
