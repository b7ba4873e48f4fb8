"""The slot engine on a model in numpy that logs what it is asked: which points, how many, in which slots."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from sessions import CLASSES, FEATURES, LinearSession, some_images
from twins import mfaba, neflag, neflag_starts
from uneven import Uneven, in_order

from fluxpath.runtime import MFABA, Attribution, Explainer, Method, NeFLAG, Status
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Lanes

SHARP = MFABA("sharp", step_size=0.02, max_steps=12)
PATHS = [MFABA("sharp", path=path, step_size=0.02, max_steps=12) for path in ("taylor", "norm", "cosine")]


@pytest.fixture
def session():
    return LinearSession()


def explain(session, images, method, slots, target=None) -> Attribution:
    with Explainer.from_session(session, slots=slots) as explainer:
        return explainer.attribute(images, target, method)


# --- which points are evaluated, and how often


@pytest.mark.parametrize("method", PATHS, ids=lambda m: m.path)
def test_mfaba_evaluates_the_points_of_its_walk_once_each(session, method):
    images = some_images(6)
    result = explain(session, images, method, slots=1)
    walks = [mfaba(session.gradient(x), x, step_size=0.02, max_steps=12) for x in images.astype(np.float64)]
    assert len(session.counts) == sum(session.counts) == (result.steps + 1).sum()
    np.testing.assert_allclose(session.points, np.concatenate([w.points for w in walks]), atol=1e-6)


@pytest.mark.parametrize("stop", ["flux", "label"])
def test_neflag_evaluates_the_image_and_then_its_samples(session, stop):
    images = some_images(4)
    result = explain(session, images, NeFLAG(n=3, seed=2, stop=stop, max_steps=3), slots=1)
    visited = []
    for x in images.astype(np.float64):
        walk = neflag(session.gradient(x), x, neflag_starts(x, 3, 2), stop=stop, max_steps=3)
        visited += [x, *walk.points]
    assert sum(session.counts) == len(visited) == (1 + 3 + result.steps).sum()
    np.testing.assert_allclose(session.points, visited, atol=1e-6)


def schedule(evaluations: list[int], slots: int) -> list[int]:
    """How many slots are active in each tick if one is refilled as soon as it is free."""
    waiting, active, counts = list(evaluations), [], []
    while waiting or active:
        while waiting and len(active) < slots:
            active.append(waiting.pop(0))
        counts.append(len(active))
        active = [left - 1 for left in active if left > 1]
    return counts


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 64])
def test_a_free_slot_is_refilled_in_the_same_tick(session, slots):
    result = explain(session, some_images(20), SHARP, slots)
    assert len(set(result.steps)) >= 4
    assert session.counts == schedule((result.steps + 1).tolist(), slots)


# --- slots


@pytest.mark.parametrize("method", PATHS, ids=lambda m: m.path)
@pytest.mark.parametrize("rule", ["trapezoid", "left"])
def test_compaction_moves_whole_lanes(session, method, rule):
    """All images at once and none waiting: every end but the last slot's moves another lane."""
    method = MFABA("sharp", rule, method.path, 12, 0.02)
    images = some_images(12)
    alone = [explain(LinearSession(), image, method, slots=1) for image in images]
    together = explain(session, images, method, slots=12)
    assert len(set(together.steps)) >= 4
    assert any(a > b for a, b in pairwise(together.steps)) and any(a < b for a, b in pairwise(together.steps))
    for i, one in enumerate(alone):
        for field in ("values", "target", "label", "steps", "status", "score", "end_score"):
            assert getattr(one, field).tobytes() == getattr(together, field)[i : i + 1].tobytes()


@dataclass(frozen=True)
class Recorder(Method):
    """Notes the order in which its lanes are admitted; ends each after `length` evaluations."""

    name: str
    log: list
    length: int = 1
    lanes: int = 1
    starts_at_image: bool = True

    def __hash__(self):
        return hash(self.name)

    def start(self, lanes, slots, numbers):
        self.log.extend(self.name * len(slots))

    def advance(self, lanes, slots):
        lanes.step[slots] += 1
        lanes.status[slots[lanes.step[slots] >= self.length]] = Status.COMPLETE


def engine(session, slots):
    return Engine(session, Lanes(slots, (FEATURES,), 0.0, 1.0))


def request(n, method):
    return Request(some_images(n), np.full(n, -1), method)


def run(engine, *requests) -> list[Attribution]:
    for r in requests:
        engine.add(r)
    while engine.busy:
        engine.tick()
    return [r.future.result(0) for r in requests]


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_requests_take_turns(session, slots):
    log = []
    run(engine(session, slots), *(request(n, Recorder(c, log)) for n, c in ((6, "a"), (2, "b"), (3, "c"))))
    assert sorted(log) == list("aaaaaabbccc")
    assert sorted(log[:3]) == ["a", "b", "c"] and sorted(log[3:6]) == ["a", "b", "c"]


def test_a_request_of_many_probed_images_takes_one_turn_at_a_time(session):
    """Every probe that ends makes lanes ready; the request must not get a place in the queue for each."""
    log = []
    many = request(6, Recorder("a", log, lanes=5, starts_at_image=False))
    run(engine(session, 6), many, request(30, Recorder("b", log)))
    middle = "".join(log[12:36])
    assert abs(middle.count("a") - middle.count("b")) <= 6


def test_a_request_that_comes_later_does_not_wait_for_the_end(session):
    log = []
    running = engine(session, 2)
    running.add(request(20, Recorder("l", log, length=3)))
    for _ in range(3):
        running.tick()
    late = request(1, Recorder("x", log))
    running.add(late)
    for _ in range(4):  # three until a slot is free
        running.tick()
    assert late.future.done()


# --- a method of one's own, in numpy


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Sundararajan et al. 2017 from black, by the midpoint rule: one lane per point of the straight line."""

    lanes: int = 50
    starts_at_image: bool = False

    def start(self, lanes, slots, numbers):
        share = (numbers[:, None] + 0.5) / self.lanes
        lanes.point[slots] = share * lanes.image[slots]

    def advance(self, lanes, slots):
        derivative = lanes.scale[slots, None] * lanes.gradient[slots]
        lanes.sum[slots] = derivative * lanes.image[slots] / self.lanes
        lanes.status[slots] = Status.COMPLETE


def test_a_method_of_ones_own(session):
    images = some_images(3)
    result = explain(session, images, IntegratedGradients(), slots=7)
    for i, image in enumerate(images.astype(np.float64)):
        target = result.target[i]
        change = session.evaluate(image, target)[0] - session.evaluate(0 * image, target)[0]
        assert result.values[i].sum() == pytest.approx(change, abs=1e-3)
        assert result.score[i] == pytest.approx(session.evaluate(image, target)[0], rel=1e-6)
    assert (result.target == result.label).all() and set(result.status) == {Status.COMPLETE}


@dataclass(frozen=True)
class Downhill(Method):
    """A walk that knows nothing of targets: five steps down the gradient."""

    lanes: int = 1
    starts_at_image: bool = True

    def advance(self, lanes, slots):
        lanes.point[slots] -= 0.2 * lanes.gradient[slots]
        lanes.step[slots] += 1
        lanes.status[slots[lanes.step[slots] == 5]] = Status.COMPLETE


def test_the_target_stays_what_was_predicted_at_the_image(session):
    """Also where the method leaves it to the engine and the prediction changes along the walk."""
    result = explain(session, some_images(8), Downhill(), slots=3)
    last = [session.evaluate(p)[1] for p in session.points]
    assert len(set(last)) == CLASSES
    assert (result.target == result.label).all()
    assert (result.end_score < result.score).all()


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 50])
def test_lanes_are_added_up_in_their_order(session, slots):
    """Float32 sums depend on it, and the slots must not show."""
    result = explain(session, some_images(4), Uneven(), slots)
    assert (result.values == in_order()).all()
    assert result.steps.tolist() == [sum(5 * k % 7 + 1 for k in range(7))] * 4


# --- failures


def test_a_session_that_raises_fails_all_who_wait_and_nobody_after(session):
    entered, gate = threading.Event(), threading.Event()
    runs = []

    def hold_then_raise():
        runs.append(1)
        if len(runs) == 1:
            entered.set()
            assert gate.wait(20)
        if len(runs) == 2:
            raise OSError("the device is gone")

    session.before_run = hold_then_raise
    with Explainer.from_session(session, slots=2) as explainer:
        futures = [explainer.submit(some_images(5, seed=3), None, PATHS[2])]
        assert entered.wait(20)
        futures += [explainer.submit(some_images(3), None, m) for m in (SHARP, NeFLAG(n=2))]
        gate.set()
        for future in futures:
            with pytest.raises(OSError, match="the device is gone"):
                future.result(20)
        session.counts.clear()
        after = explainer.attribute(some_images(3), None, PATHS[2])
    assert sum(session.counts) == (after.steps + 1).sum()
    assert after.values.tobytes() == explain(LinearSession(), some_images(3), PATHS[2], 2).values.tobytes()


def test_what_was_delivered_before_a_failure_stays(session):
    running = engine(session, 2)
    first, second = request(1, Recorder("a", [])), request(1, Recorder("b", []))
    second.deliver = lambda *_: 1 / 0
    for r in (first, second):
        running.add(r)
    running.tick()
    assert first.future.result(0).status[0] == Status.COMPLETE
    with pytest.raises(ZeroDivisionError):
        second.future.result(0)
    running.tick()
    assert not running.busy
