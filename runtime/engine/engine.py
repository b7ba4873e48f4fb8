"""The slot engine: evaluates the lanes of many images, methods and callers together."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from fluxpath.errors import DeadlineError, OutOfMemoryError
from fluxpath.runtime.backends.base import GradientSession
from fluxpath.runtime.engine.request import Lane, Request
from fluxpath.runtime.engine.waiting import Waiting
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method

_log = logging.getLogger("fluxpath")


class Engine:
    """Runs lanes in a fixed number of slots, the first ones first. Not thread-safe: one thread at a time.

    A tick evaluates the gradient graph once on the active slots, advances each lane by its method, collects
    the results of lanes that ended and gives their slots to waiting lanes at once (`Waiting` decides the
    order). A request that was cancelled, missed its deadline or has a method that raises frees its slots in
    the same way, without effect on other requests.

    When the backend runs out of memory, the engine evaluates half as many lanes at a time from then on; the
    other lanes keep their state in their slots until a slot of the first half is free.
    """

    def __init__(self, session: GradientSession, lanes: Lanes) -> None:
        self._session = session
        self._lanes = lanes
        session.bind(lanes)
        self._limit = lanes.slots
        self._waiting = Waiting()
        self._running: list[Lane] = []
        self._leaving: list[Lane] = []
        """The last lanes of images whose attributions are still to be fetched."""
        self._groups: list[tuple[Method, Slots]] | None = []
        self._again: list[int] = []
        """The slots, among those grouped, of lanes that run once more."""
        self._owners: list[Request] | None = []
        """The requests of the running lanes, each once; None where that has changed."""
        self._timed = False
        """Whether any request since the engine was last idle had a deadline."""
        self.evaluations, self.evaluated = 0, 0
        """How often the graph ran, and for how many lanes; any thread may read them."""

    @property
    def busy(self) -> bool:
        """Whether any lane runs or waits."""
        return bool(self._running or self._waiting or self._leaving)

    def add(self, request: Request) -> None:
        """Queue a request's lanes."""
        self._timed = request.deadline is not None or (self._timed and self.busy)
        self._waiting.add(request)

    def fail(self, error: BaseException) -> None:
        """End every request that runs or waits with `error`."""
        requests = [*self._waiting.clear(), *(lane.request for lane in (*self._running, *self._leaving))]
        self._running.clear()
        self._leaving.clear()
        self._groups = self._owners = None
        for request in requests:
            request.fail(error)

    def tick(self) -> None:
        """Drop finished requests, admit lanes, evaluate once, advance, retire and refill.

        Where the lanes live on a device, images are copied there and attributions back while it evaluates.
        """
        self._drop()
        self._admit()
        if not self._running:
            self._leave()
            return
        active = self._evaluate()
        self._lanes.note_start(active)
        groups = self._grouped(active)
        scales = [(slot, self._to_size_one(slot)) for slot in self._again] if self._again else ()
        for method, slots in groups:
            try:
                method.advance(self._lanes, slots)
            except BaseException as error:  # a user-defined method can raise anything
                self._fail_lanes(slots, error)
        for slot, scale in scales:
            self._lanes.scale[slot] = scale
        if self._lanes.far:
            self._leave()
            if self._waiting:
                self._lanes.expect(self._waiting.upcoming(active))
        ended = self._lanes.ended(active)
        if ended:
            self._retire(ended)

    def _to_size_one(self, slot: int) -> float:
        """Replace the lane's scale by one that gives its derivative the size one; return what it was.

        A lost scale was not the same at two points, so lanes get different ones: their variance counts too.
        """
        lanes = self._lanes
        gradient, scale = lanes.gradient[slot], float(lanes.scale[slot])
        largest = float(np.abs(gradient).max())
        if 0.0 < largest < np.inf:
            lost = not (np.float32(scale) * gradient).any()
            size = 1.0 + int(lanes.number[slot]) if lost else 1.0
            lanes.scale[slot] = min(size / largest, 1e37)
        return scale

    def _drop(self) -> None:
        """Fail requests past their deadline and free the slots of all requests that are over."""
        if self._timed:
            now = time.monotonic()
            for request in [*self._waiting, *(lane.request for lane in self._running)]:
                if request.deadline is not None and request.deadline < now:
                    request.fail(
                        DeadlineError("the attribution was not done by its deadline: allow more time")
                    )
        if self._owners is None:
            self._owners = list({id(lane.request): lane.request for lane in self._running}.values())
        if any(request.over for request in self._owners):
            over = [slot for slot, lane in enumerate(self._running) if lane.request.over]
            for slot in over:
                self._running[slot].request.acknowledge()
            self._vacate(over)

    def _evaluate(self) -> int:
        """Run the gradient graph on as many lanes as memory allows; return how many."""
        while True:
            active = min(len(self._running), self._limit)
            try:
                self._session.run(active)
            except OutOfMemoryError:
                if active == 1:
                    raise
                self._limit, self._groups = active // 2, None
                _log.warning("out of memory with %d slots, going on with %d", active, self._limit)
            else:
                self.evaluations += 1
                self.evaluated += active
                return active

    def _admit(self) -> None:
        if not self._waiting:
            return
        fresh: list[int] = []
        while len(self._running) < self._limit:
            lane = self._waiting.next_lane()
            if lane is None:
                break
            self._running.append(lane)
            fresh.append(len(self._running) - 1)
        self._start(fresh)

    def _start(self, fresh: list[int]) -> None:
        """Fill the slots of newly admitted lanes and let their methods set the first point."""
        if not fresh:
            return
        self._groups = self._owners = None
        self._lanes.fill([self._running[slot].begin(slot) for slot in fresh])
        for method, slots in self._by_method(fresh):
            numbers = np.asarray([self._running[s].number for s in slots], np.int32)
            try:
                method.start(self._lanes, slots, numbers)
            except BaseException as error:  # as in `tick`
                self._fail_lanes(slots, error)

    def _fail_lanes(self, slots: Slots, error: BaseException) -> None:
        """End the requests that own the lanes in `slots` with `error`; the next tick frees the slots."""
        for slot in slots:
            self._running[slot].request.fail(error)

    def _retire(self, ended: list[int]) -> None:
        """Deliver the lanes that ended, finish images whose last lane ended, and free the slots."""
        for slot in ended:
            lane = self._running[slot]
            request = lane.request
            if request.over:
                request.acknowledge()
                continue
            try:
                if request.deliver(lane, self._lanes, slot):
                    self._leaving.append(lane)
            except BaseException as error:  # a user-defined collector can raise anything
                request.fail(error)
            if lane.opens:
                self._waiting.add(request, soon=True)
        self._lanes.add_up()
        self._vacate(sorted(ended))
        if not (self._lanes.far and self._running):
            self._leave()

    def _leave(self) -> None:
        """Finish the images whose last lane has ended."""
        leaving, self._leaving = self._leaving, []
        for lane in leaving:
            try:
                if lane.request.finish(lane.index):
                    self._waiting.add(lane.request, soon=True)
            except BaseException as error:  # a user-defined collector can raise anything
                lane.request.fail(error)

    def _vacate(self, free: list[int]) -> None:
        """Give these slots (ascending) to waiting lanes, or close the gaps from the end."""
        refilled: list[int] = []
        moves: dict[int, int] = {}
        for slot in reversed(free):
            lane = self._waiting.next_lane() if len(self._running) <= self._limit else None
            if lane is not None:
                self._running[slot] = lane
                refilled.append(slot)
                continue
            lane, last = self._running.pop(), len(self._running)
            if slot < last:
                self._running[slot] = lane
                if last in refilled:
                    refilled[refilled.index(last)] = slot
                else:  # if the lane was moved once already, keep its original slot as the source
                    moves[slot] = moves.pop(last, last)
        if moves:
            self._lanes.rearrange(moves)
        self._groups = self._owners = None
        self._start(refilled)

    def _grouped(self, active: int) -> list[tuple[Method, Slots]]:
        """Return the first `active` slots grouped by method, from the cache if it is valid."""
        if self._groups is None:
            self._groups = self._by_method(range(active))
            self._again = [slot for slot in range(active) if self._running[slot].again]
        return self._groups

    def _by_method(self, slots: Sequence[int]) -> list[tuple[Method, Slots]]:
        """Group these slots by method; methods with equal settings share a group."""
        methods = [self._running[slot].method for slot in slots]
        if all(method is methods[0] for method in methods):  # the usual case; hashing settings is slow
            return [(methods[0], np.asarray(slots, np.int32))]
        groups: dict[Method, list[int]] = {}
        for slot, method in zip(slots, methods, strict=True):
            groups.setdefault(method, []).append(slot)
        return [(m, np.asarray(s, np.int32)) for m, s in groups.items()]
