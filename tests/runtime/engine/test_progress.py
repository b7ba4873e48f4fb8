"""How far a request has come."""

from __future__ import annotations

from engines import Walk, drain, engine, request


def test_lanes_and_steps_are_counted_as_they_end():
    running = engine(2)
    asked = request(3, Walk(1, [], length=2, lanes=2))
    progress = asked.future.progress
    assert (progress.lanes, progress.ended, progress.steps, progress.began) == (6, 0, 0, None)
    running.add(asked)
    running.tick()
    assert progress.began is not None and progress.ended == 0
    running.tick()
    assert (progress.ended, progress.steps) == (2, 4)
    drain(running)
    assert (progress.ended, progress.steps) == (6, 12)
