"""Where a walk's time goes: the gradient graph, or the rest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from fluxpath.runtime import Explainer
from fluxpath.runtime.device.lanes import DeviceLanes


class Clocked:
    """A context in which an explainer's session notes its evaluations.

    counts: of how many slots each was. seconds: what each took until it returned, which on a GPU is before it
    is done.
    """

    def __init__(self, explainer: Explainer) -> None:
        self.session, self.lanes = parts_of(explainer)
        self.counts: list[int] = []
        self.seconds: list[float] = []

    def __enter__(self) -> Clocked:
        run = self.session.run

        def noted(count: int) -> None:
            start = time.perf_counter()
            run(count)
            self.seconds.append(time.perf_counter() - start)
            self.counts.append(count)

        self.session.run = noted
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self.session.run


def parts_of(explainer: Explainer) -> tuple[Any, Any]:
    """The explainer's session, and its lanes."""
    engine: Any = explainer._driver._engine
    return engine._session, engine._lanes


def outside_graph(explainer: Explainer, work: Callable[[], object], rounds: int) -> float:
    """The share of `work`'s time in which the gradient graph does not run.

    On a GPU each number of slots that `work` evaluates is timed once more by itself, from the call to the end
    on the device, the median of `rounds`.
    """
    with Clocked(explainer) as clocked:
        start = time.perf_counter()
        work()
        whole = time.perf_counter() - start
    session, lanes = clocked.session, clocked.lanes
    if not isinstance(lanes, DeviceLanes):
        return max(0.0, 1 - sum(clocked.seconds) / whole)
    alone = {
        count: seconds(partial(_evaluate, session, lanes, count), rounds) for count in set(clocked.counts)
    }
    return max(0.0, 1 - sum(alone[count] for count in clocked.counts) / whole)


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
