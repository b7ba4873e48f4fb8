"""Where a walk's time goes: the gradient graph, or the rest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from fluxpath.runtime import Explainer
from fluxpath.runtime.device.lanes import DeviceLanes


def outside_graph(explainer: Explainer, work: Callable[[], object], rounds: int) -> float:
    """The share of `work`'s time in which the gradient graph does not run.

    Each number of slots that `work` evaluates is timed once more by itself, from the call to the end on the
    device, the median of `rounds`.
    """
    engine: Any = explainer._driver._engine
    session, lanes = engine._session, engine._lanes
    counts: list[int] = []
    run = session.run

    def counted(count: int) -> None:
        counts.append(count)
        run(count)

    session.run = counted
    try:
        start = time.perf_counter()
        work()
        whole = time.perf_counter() - start
    finally:
        del session.run
    alone = {count: seconds(partial(_evaluate, session, lanes, count), rounds) for count in set(counts)}
    return max(0.0, 1 - sum(alone[count] for count in counts) / whole)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of `rounds`, after some that are not counted."""
    for _ in range(min(5, rounds)):  # more often than a batch size runs before it is captured
        work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait(lanes: Any) -> None:
    """Until the device is done; on the CPU everything is."""
    if isinstance(lanes, DeviceLanes):
        lanes.changed()
        _ = lanes.status[:1]


def _evaluate(session: Any, lanes: Any, count: int) -> None:
    session.run(count)
    wait(lanes)
