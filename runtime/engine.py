"""The slot engine: lanes of many images, methods and callers in one gradient evaluation."""

from __future__ import annotations

from collections import deque

import numpy as np

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.request import Lane, Request
from fluxpath.runtime.session import GradientSession


class Engine:
    """Runs lanes in the first `active` of a fixed number of slots. Not thread-safe: one thread ticks.

    A tick evaluates the gradient graph once on the active slots, advances each lane by its method, takes
    the results of those that ended and gives their slots to waiting lanes at once. Requests take turns at
    free slots, a lane each, so a short one does not wait for the end of a long one.
    """

    def __init__(self, session: GradientSession, lanes: Lanes) -> None:
        self._session = session
        self._lanes = lanes
        session.bind(lanes)
        self._waiting: deque[Request] = deque()
        self._running: list[Lane] = []
        self._groups: list[tuple[Method, Slots]] | None = []

    @property
    def busy(self) -> bool:
        """Whether any lane runs or waits."""
        return bool(self._running or self._waiting)

    def add(self, request: Request) -> None:
        """Queue a request's lanes."""
        self._waiting.append(request)

    def fail(self, error: Exception) -> None:
        """Give up everything that runs or waits with `error`."""
        requests = {id(r): r for r in [*self._waiting, *(lane.request for lane in self._running)]}
        self._waiting.clear()
        self._running.clear()
        self._groups = None
        for request in requests.values():
            if not request.future.done():
                request.future.set_exception(error)

    def tick(self) -> None:
        """Admit, evaluate once, advance, retire and refill."""
        self._admit()
        active = len(self._running)
        if active == 0:
            return
        lanes = self._lanes
        self._session.run(active)
        lanes.note_start(active)
        for method, slots in self._grouped():
            method.advance(lanes, slots)
        ended = np.flatnonzero(lanes.status[:active])
        if ended.size:
            self._retire(ended.tolist())

    def _admit(self) -> None:
        fresh: list[int] = []
        while len(self._running) < self._lanes.slots:
            lane = self._next_waiting()
            if lane is None:
                break
            self._running.append(lane)
            fresh.append(len(self._running) - 1)
        self._start(fresh)

    def _next_waiting(self) -> Lane | None:
        for _ in range(len(self._waiting)):
            request = self._waiting.popleft()
            lane = request.next_lane()
            if lane is not None:
                self._waiting.append(request)
                return lane
            # Nothing left, or nothing until a probe ends, which puts the request back in the queue.
        return None

    def _start(self, fresh: list[int]) -> None:
        """Fill the slots of newly admitted lanes and let their methods place them."""
        if not fresh:
            return
        self._groups = None
        started: dict[Method, list[int]] = {}
        for slot in fresh:
            lane = self._running[slot]
            image, target = lane.request.images[lane.index], int(lane.request.targets[lane.index])
            self._lanes.clear(slot, image, target, lane.number)
            for name, rows in lane.request.companions.items():
                self._lanes.companions[name][slot] = rows[lane.index]
            started.setdefault(lane.method, []).append(slot)
        for method, slots in started.items():
            numbers = [self._running[s].number for s in slots]
            method.start(self._lanes, np.asarray(slots, np.int32), np.asarray(numbers, np.int32))

    def _retire(self, ended: list[int]) -> None:
        """Deliver the lanes that ended; refill their slots, or close the gaps from the end."""
        for slot in ended:
            lane = self._running[slot]
            lane.request.deliver(lane, self._lanes, slot)
            if lane.method is not lane.request.method and lane.request not in self._waiting:
                self._waiting.appendleft(lane.request)
        refilled: list[int] = []
        for slot in ended[::-1]:
            waiting = self._next_waiting()
            if waiting is not None:
                self._running[slot] = waiting
                refilled.append(slot)
                continue
            last = self._running.pop()
            if slot < len(self._running):
                self._lanes.move(len(self._running), slot)
                self._running[slot] = last
                if len(self._running) in refilled:
                    refilled[refilled.index(len(self._running))] = slot
        self._groups = None
        self._start(refilled)

    def _grouped(self) -> list[tuple[Method, Slots]]:
        """The running slots by method; equal settings are one group."""
        if self._groups is None:
            slots: dict[Method, list[int]] = {}
            for slot, lane in enumerate(self._running):
                slots.setdefault(lane.method, []).append(slot)
            self._groups = [(m, np.asarray(s, np.int32)) for m, s in slots.items()]
        return self._groups
