"""Whose turn it is."""

from __future__ import annotations

import pytest
from engines import Recorder, Walk, drain, engine, request


def run(slots, *requests):
    running = engine(slots)
    for one in requests:
        running.add(one)
    drain(running)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_requests_take_turns(slots):
    log = []
    run(slots, *(request(n, Recorder(c, log)) for n, c in ((6, "a"), (2, "b"), (3, "c"))))
    assert sorted(log) == list("aaaaaabbccc")
    assert sorted(log[:3]) == ["a", "b", "c"] and sorted(log[3:6]) == ["a", "b", "c"]


def test_a_request_of_many_probed_images_takes_one_turn_at_a_time():
    """Every probe that ends makes lanes ready; the request must not get a place in the queue for each."""
    log = []
    many = request(6, Recorder("a", log, lanes=5, starts_at_image=False))
    run(6, many, request(30, Recorder("b", log)))
    middle = "".join(log[12:36])
    assert abs(middle.count("a") - middle.count("b")) <= 6


def test_a_request_that_comes_later_does_not_wait_for_the_end():
    log = []
    running = engine(2)
    running.add(request(20, Recorder("l", log, length=3)))
    for _ in range(3):
        running.tick()
    late = request(1, Recorder("x", log))
    running.add(late)
    for _ in range(4):  # three until a slot is free
        running.tick()
    assert late.future.done()


@pytest.mark.parametrize("others", [1, 5])
def test_a_small_request_waits_for_no_more_free_slots_than_there_are_requests(others):
    """However many lanes the others have: the bound is in `Waiting`."""
    running, started = engine(2), []
    for k in range(others):
        running.add(request(1, Walk(k, started, length=3, lanes=10_000)))
    for _ in range(7):
        running.tick()
    begun = len(started)
    late = request(1, Walk(99, started))
    running.add(late)
    while not late.over:
        running.tick()
    admitted = [name for name, _ in started].index(99) - begun
    assert admitted <= others
