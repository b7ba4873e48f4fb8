"""The engine without a thread, and methods that log how their lanes are started."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sessions import FEATURES, LinearSession, some_images

from fluxpath.runtime import Method, Status
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Lanes


def engine(slots, session=None):
    """On the host; the linear model where none is given."""
    session = LinearSession() if session is None else session
    return Engine(session, Lanes(slots, (FEATURES,), 0.0, 1.0))


def request(n, method, **options):
    """Of n images, for the predicted classes."""
    return Request(some_images(n), np.full(n, -1), method, **options)


def drain(running, limit=10_000):
    """Tick until nothing runs or waits."""
    for _ in range(limit):
        if not running.busy:
            return
        running.tick()
    raise AssertionError("lanes that never end")


@dataclass(frozen=True)
class Walk(Method):
    """Notes each lane it starts; a lane's sum is its number plus one after `length` evaluations."""

    name: int
    started: list
    length: int = 1
    lanes: int = 1
    starts_at_image: bool = True
    fails_at: int = -1

    def __hash__(self):
        return self.name

    def start(self, lanes, slots, numbers):
        self.started.extend((self.name, int(n)) for n in numbers)

    def advance(self, lanes, slots):
        if self.fails_at in lanes.step[slots]:
            raise ArithmeticError(f"walk {self.name}")
        lanes.step[slots] += 1
        lanes.sum[slots] = lanes.number[slots, None] + 1
        lanes.status[slots[lanes.step[slots] >= self.length]] = Status.COMPLETE


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
