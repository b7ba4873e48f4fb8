"""A request: one caller's images, the lanes they need and the results so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import FluxpathError, OutOfMemoryError
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution, Subject
from fluxpath.runtime.engine.outcome import Outcome
from fluxpath.runtime.engine.progress import Progress
from fluxpath.runtime.lanes import Fresh, Lanes
from fluxpath.runtime.lanes.gathering import Gathering
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.probe import Probe
from fluxpath.status import Status

_FAINT = 1e-9
"""A scale below which an attribution of zeros may be one that float32 cannot express."""


@dataclass(frozen=True)
class Lane:
    """Lane `number` of image `index` of a request, as it waits in the queue.

    opens: whether the image's other lanes wait for this one to determine their target. again: whether it
    runs a second time, with derivatives of size one (`Request.finish`).
    """

    request: Request
    index: int
    number: int
    method: Method
    opens: bool = False
    again: bool = False

    def begin(self, slot: int) -> Fresh:
        """The initial state of the lane in `slot`."""
        request, index = self.request, self.index
        if request.progress.began is None:
            request.progress.begin()
        image, target, reach = request._rows[index], int(request.targets[index]), request._reach[index]
        if not request.companions:  # the usual case, on the way of every lane
            return Fresh(slot, image, target, self.number, self.method.shortest, reach=reach)
        companions = {name: rows[index] for name, rows in request.companions.items()}
        return Fresh(slot, image, target, self.number, self.method.shortest, companions, reach)


class Request:
    """Images [n, *shape], their targets (-1: the predicted class) and one method; collects the results.

    The request takes ownership of the arrays.

    `next_lane` hands out lanes in order. The score and predicted class at the image come from a lane that
    starts there, or from a probe if the method has no such lane. If the model chooses the target, or lengths
    depend on how far the boundary is, the image's other lanes wait for that lane; else no lane waits.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        targets: npt.NDArray[np.int64],
        method: Method,
        companions: Mapping[str, npt.NDArray[Any]] | None = None,
        deadline: float | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        n = len(images)
        self.companions = dict(companions or {})
        self.images = images.reshape(n, -1)
        self.method = method
        self.future = Outcome()
        """Stays pending until the result is ready, so that it can be cancelled until then."""
        self._manifest = manifest
        """The model's, which the result names as its subject."""
        self.deadline = deadline
        """The `time.monotonic()` in seconds after which the request fails; None for no deadline."""
        self.queued = False
        """Whether the request is in the queue."""
        self._image_lane = method.image_lane
        self._probe = None
        if not method.starts_at_image and self._image_lane is None:
            self._probe = Probe(method.reach)
        self._measures = method.reach is not None
        self._per_image = method.lanes
        self._end_lane = method.end_lane
        self._shape = images.shape
        self.targets = targets
        self._values = np.zeros(self.images.shape, np.float32)
        # These change with every lane and are lists, because writing an array entry is several times slower.
        self._steps, self._status, self._label = [0] * n, [0] * n, [0] * n
        self._score, self._end_score = [0.0] * n, [0.0] * n
        self._reach = [0.0] * n
        """How far each image's boundary is, once that was measured; its lanes begin with it."""
        self._left = [self._per_image + (self._probe is not None)] * n
        self._faint, self._again = [False] * n, [False] * n
        """Whether an image's attribution may be too small for float32; whether its lanes run once more."""
        self._unfinished = n
        self.progress = self.future.progress = Progress(sum(self._left))
        self._alone = self._per_image == 1 and type(method).collector is Method.collector
        """Whether an image has a single lane, whose sum is the attribution unchanged."""
        self._gatherings: dict[int, Gathering] = {}
        """By image index, for images with some lanes ended but not all."""
        self._rows = list(self.images)
        """The images one by one: always the same objects, by which lanes on a device know them."""
        self._next = 0
        self._fresh = self._first_lanes()
        self._ready: list[Iterator[Lane]] = []

    @property
    def over(self) -> bool:
        """Whether the request has its result, failed or was cancelled."""
        return self.future.over or self.future.settled

    def fail(self, error: BaseException) -> None:
        """End the request with `error`, unless it is already over."""
        self._drop()
        if not isinstance(error, Exception):  # SystemExit would end the caller too
            error = FluxpathError(f"the method or the backend raised {error!r}")
        self.future.settle(error=error)

    def acknowledge(self) -> None:
        """If the request was cancelled, drop its partial sums and notify `concurrent.futures.wait`."""
        if self.over:
            self._drop()
            self.future.settle()

    def _drop(self) -> None:
        for gathering in self._gatherings.values():
            gathering.drop()
        self._gatherings.clear()

    def next_lane(self) -> Lane | None:
        """The next lane to run, or None if none is ready now."""
        while self._ready:
            lane = next(self._ready[-1], None)
            if lane is not None:
                return lane
            self._ready.pop()
        lane = next(self._fresh, None)
        if lane is None:
            self._next = len(self._rows)
        return lane

    def upcoming(self, count: int) -> list[npt.NDArray[np.float32]]:
        """The next `count` images, float32 [features] each, of which no lane or not every lane has begun."""
        return self._rows[self._next : self._next + count]

    def _first_lanes(self) -> Iterator[Lane]:
        for index in range(len(self.images)):
            self._next = index
            at_image = self._probe is not None or self._image_lane is not None
            waits = at_image and (self._measures or bool(self.targets[index] < 0))
            if self._probe is not None:
                yield Lane(self, index, 0, self._probe, opens=waits)
            elif waits and self._image_lane is not None:
                yield Lane(self, index, self._image_lane, self.method, opens=True)
            if not waits:
                yield from self._lanes_of(index)

    def _lanes_of(self, index: int, but: int | None = None) -> Iterator[Lane]:
        for number in range(self._per_image):
            if number != but:
                yield Lane(self, index, number, self.method, again=self._again[index])

    def deliver(self, lane: Lane, lanes: Lanes, slot: int) -> bool:
        """Take the results of the lane that ended in `slot`; return whether it was its image's last."""
        i = lane.index
        self.progress.add(int(lanes.step[slot]))
        if lane.again:
            self._keep(lane, lanes, slot)
            self._left[i] -= 1
            return self._left[i] == 0
        probe = lane.method is self._probe
        status = int(lanes.status[slot])
        if probe or self.method.starts_at_image or lane.number == self._image_lane:
            self.targets[i] = lanes.first_target[slot]
            self._label[i] = lanes.first_label[slot]
            self._score[i] = lanes.first_score[slot]
            if self._measures:
                self._reach[i] = float(lanes.reach[slot])
        if lane.opens:
            self._ready.append(self._lanes_of(i, self._image_lane))
        if probe:
            if status == Status.NON_FINITE:
                self._status[i] = status
        else:
            if lane.number == self._end_lane:
                self._end_score[i] = lanes.score[slot]
            self._steps[i] += int(lanes.step[slot])
            self._status[i] = max(self._status[i], status)
            # A walk can cross the boundary from where the scale is zero to where it is not.
            if status == Status.BOUNDARY or abs(lanes.scale[slot]) < _FAINT:
                self._faint[i] = True
            self._keep(lane, lanes, slot)
        self._left[i] -= 1
        return self._left[i] == 0

    def _keep(self, lane: Lane, lanes: Lanes, slot: int) -> None:
        if self._alone and not lanes.far:
            self._values[lane.index] = lanes.sum[slot]
        elif not self._alone:
            self._gather(lane.index, lanes).take(lane.number, slot)
        else:
            try:
                self._gather(lane.index, lanes).take(0, slot)
            except OutOfMemoryError:  # no room to keep it until the next evaluation, so it is fetched now
                self._values[lane.index] = lanes.sum[slot]

    def _gather(self, index: int, lanes: Lanes) -> Gathering:
        gathering = self._gatherings.get(index)
        if gathering is None:
            gathering = self._gatherings[index] = lanes.gathering(self.method.collector(lanes.features))
        return gathering

    def finish(self, index: int) -> bool:
        """Write the image's attribution, now that all of its lanes were delivered.

        Returns whether its lanes run once more. Only with derivatives of size one does it show whether zeros
        are what is right, or what float32 made of an attribution that it cannot express.
        """
        gathering = self._gatherings.pop(index, None) if self._gatherings else None
        if gathering is not None:
            gathering.result(self._values[index])
        elif self.over:
            return False  # it failed after the last delivery
        values = self._values[index]
        if self._again[index]:
            if values.any():
                self._status[index] = Status.UNDERFLOW
            values[:] = 0.0
        elif self._status[index] == Status.NON_FINITE:
            values[:] = 0.0
        elif self._faint[index] and self._steps[index] and not values.any():
            self._again[index], self._left[index] = True, self._per_image
            self._ready.append(self._lanes_of(index))
            self.progress.lanes += self._per_image
            return True
        self._unfinished -= 1
        if self._unfinished == 0:
            self._complete()
        return False

    def _complete(self) -> None:
        images = self.images.reshape(self._shape)
        subject = None if self._manifest is None else Subject(images, self.method, self._manifest)
        result = Attribution(
            values=self._values.reshape(self._shape),
            target=self.targets,
            label=np.array(self._label, np.int64),
            steps=np.array(self._steps, np.int32),
            status=np.array(self._status, np.int32),
            score=np.array(self._score, np.float32),
            end_score=None if self._end_lane is None else np.array(self._end_score, np.float32),
            subject=subject,
        )
        self.future.settle(result)
