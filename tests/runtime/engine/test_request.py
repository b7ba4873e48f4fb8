"""What a request makes of its lanes: the target, and an outcome that all who wait are told."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from dataclasses import dataclass

import numpy as np
import pytest
from engines import Walk, drain, engine, request
from sessions import CLASSES, LinearSession, explain, some_images

from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, Method


@pytest.mark.parametrize("rule", ["trapezoid", "right"])
@pytest.mark.parametrize("slots", [1, 3, 64])
def test_the_image_decides_the_target_of_all_points(rule, slots):
    """Also when a lane elsewhere would predict another class, and in any number of slots."""
    images, method = some_images(9), IntegratedGradients(steps=6, rule=rule)
    session = LinearSession()
    result = explain(session, images, method, slots)
    assert (result.target == result.label).all() and len(set(result.label)) > 1
    assert result.values.tobytes() == explain(LinearSession(), images, method, 1).values.tobytes()
    given = explain(LinearSession(), images, method, slots, result.label)
    assert given.values.tobytes() == result.values.tobytes()
    assert given.score.tobytes() == result.score.tobytes()


@dataclass(frozen=True)
class Wandering(Method):
    """Asks for another class's gradient each time, and ends with one that is not explained."""

    lanes: int = 2
    starts_at_image: bool = True

    def advance(self, lanes, slots):
        lanes.target[slots] = (lanes.target[slots] + 1) % CLASSES
        lanes.step[slots] += 1
        lanes.status[slots[lanes.step[slots] > lanes.number[slots] + lanes.first_target[slots]]] = 3


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_the_reported_target_is_the_explained_class_whatever_a_lane_asks_for(slots):
    """Lanes end at different times here, so that some are moved."""
    session = LinearSession()
    images = some_images(8)
    result = explain(session, images, Wandering(), slots)
    assert (result.target == [session.evaluate(x.astype(np.float64))[1] for x in images]).all()
    assert (result.steps == 3 + 2 * result.target).all()
    assert (explain(session, images, Wandering(), slots, target=1).target == 1).all()


def test_a_cancelled_future_is_told_to_those_who_wait_for_several():
    session, gate, walk = LinearSession(), threading.Event(), MFABA(step_size=0.02, max_steps=12)
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, slots=1) as explainer:
        futures = [explainer.submit(some_images(3), None, walk) for _ in range(3)]
        assert futures[1].cancel()
        gate.set()
        assert not wait(futures, timeout=20).not_done
        assert futures[0].result().values.tobytes() == futures[2].result().values.tobytes()


def test_so_is_one_that_is_cancelled_while_its_last_lane_is_evaluated():
    session, only = LinearSession(), request(1, Walk(0, []))
    running = engine(2, session)
    session.before_run = only.future.cancel
    running.add(only)
    running.tick()
    assert not running.busy and not wait([only.future], timeout=0).not_done


@pytest.mark.parametrize("after", [1, 2])
def test_a_request_can_be_cancelled_while_its_lanes_run_once_more(after):
    """The first run of one step gives zeros, and the second begins."""
    session, one = LinearSession(), request(2, Faint())
    session.before_run = lambda: session.lanes.scale.fill(0.0)
    running = engine(1, session)
    running.add(one)
    for _ in range(after):
        running.tick()
    assert running.busy and one.future.cancel()
    drain(running)
    assert sum(session.counts) == after
    again = request(2, Faint())
    running.add(again)
    drain(running)
    result = again.future.result(0)
    assert result.status.tolist() == [7, 7] and not result.values.any() and result.steps.tolist() == [1, 1]
    assert sum(session.counts) == after + 4 and session.lanes.scale.tolist() == [0.0]


@dataclass(frozen=True)
class Faint(Method):
    """The derivative at the image."""

    def advance(self, lanes, slots):
        lanes.sum[slots] = lanes.scale[slots, None] * lanes.gradient[slots]
        lanes.step[slots] += 1
        lanes.status[slots] = 3
