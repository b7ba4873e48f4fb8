"""Sides in turns: the better settings of each are chosen first, then ratios are taken pair by pair."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fluxpath.bench.sides import FLUXPATH
from fluxpath.bench.work import LeftOut, Slots, Work

TRIES = 3
"""Of each setting, of which the least time decides."""

ENOUGH = 20.0
"""Seconds after which every setting has been tried often enough."""

ORDERED = ("best", "captum")
"""The sides that have images in either memory order."""


class Timed(Protocol):
    """A worker, as far as timing goes."""

    def time(self, work: Work) -> float:
        """Seconds."""
        ...


@dataclass(frozen=True)
class Rounds:
    """How long sides take turns: `count` rounds; or None, at least 5, until 100 or 15 seconds are over."""

    count: int | None = None
    least: int = 5
    most: int = 100
    seconds: float = 15.0

    def go_on(self, done: int, elapsed: float) -> bool:
        """Whether there is another round."""
        if self.count is not None:
            return done < self.count
        return done < self.least or (done < self.most and elapsed < self.seconds)


def candidates(side: str, work: Work, slots: Sequence[Slots], images: bool) -> list[Work]:
    """What a side is tried with: numbers of points at a time, and where it has them, two memory orders."""
    orders = (False, True) if side in ORDERED and images else (False,)
    return [replace(work, slots=n, channels_last=order) for n in slots for order in orders]


def chosen(worker: Timed, works: Sequence[Work]) -> Work:
    """The quickest of some settings, of those that the side can work with; LeftOut if there is none."""
    if len(works) == 1:
        return works[0]
    times: dict[Work, list[float]] = {work: [] for work in works}
    start = time.monotonic()
    for tries in range(TRIES):
        if tries and time.monotonic() - start > ENOUGH:
            break
        for work in list(times):
            try:
                times[work].append(worker.time(work))
            except LeftOut:
                del times[work]
                if not times:
                    raise
    return min(times, key=lambda work: min(times[work]))


def in_turns(
    workers: Mapping[str, Timed],
    works: Mapping[str, Work],
    groups: Sequence[tuple[int, int]],
    rounds: Rounds,
    told: Callable[[int], None] = lambda done: None,
    left_out: Callable[[str, LeftOut], None] = lambda side, error: None,
) -> dict[str, list[float]]:
    """Seconds of every turn by side: a group of images a round, in which each side has one turn.

    Who begins changes every round. told: is called with the number of rounds done. left_out: with a side that
    raises LeftOut, of which nothing is returned.
    """
    sides = list(works)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    start = time.monotonic()
    for number in itertools.count():
        if not rounds.go_on(number, time.monotonic() - start):
            return seconds
        first, last = groups[number % len(groups)]
        at = number % len(sides)
        for side in sides[at:] + sides[:at]:
            try:
                seconds[side].append(workers[side].time(replace(works[side], first=first, last=last)))
            except LeftOut as error:
                left_out(side, error)
                sides.remove(side)
                del seconds[side]
        told(number + 1)
    raise AssertionError("unreachable")


def figures(seconds: Mapping[str, Sequence[float]], images: int) -> dict[str, dict[str, Any]]:
    """What each side's turns of so many images say: times, and ratios to fluxpath's pair by pair."""
    found: dict[str, dict[str, Any]] = {}
    for side, times in seconds.items():
        p50, p99 = (float(v) for v in np.quantile(times, [0.5, 0.99]))
        found[side] = {
            "p50": p50,
            "p99": p99,
            "images_per_second": images / p50,
            "turns": len(times),
            "seconds": list(times),
        }
        if side != FLUXPATH:
            found[side]["ratio"] = summary(np.divide(times, seconds[FLUXPATH]).tolist())
    return found


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "quartile_1": float(low), "quartile_3": float(high)}
