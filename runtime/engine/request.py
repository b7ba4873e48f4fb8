"""One caller's images on their way through the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.lanes import Fresh, Lanes
from fluxpath.runtime.lanes.gathering import Gathering
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.probe import Probe
from fluxpath.status import Status

_PROBE = Probe()


class Outcome(Future[Attribution]):
    """A request's future, with a flag for "done" that needs no lock: the engine asks at every tick."""

    over = False

    def cancel(self) -> bool:
        """See `Future.cancel`."""
        cancelled = super().cancel()
        self.over = self.over or cancelled
        return cancelled

    def set_result(self, result: Attribution) -> None:
        """See `Future.set_result`."""
        super().set_result(result)
        self.over = True

    def set_exception(self, exception: BaseException | None) -> None:
        """See `Future.set_exception`."""
        super().set_exception(exception)
        self.over = True


@dataclass(frozen=True)
class Lane:
    """Lane `number` of image `index` of a request.

    opens: the image's other lanes wait for this one, which decides their target.
    """

    request: Request
    index: int
    number: int
    method: Method
    opens: bool = False

    def begin(self, slot: int) -> Fresh:
        """What the lane begins with in `slot`."""
        request, index = self.request, self.index
        companions = {name: rows[index] for name, rows in request.companions.items()}
        target = int(request.targets[index])
        return Fresh(slot, request.images[index], target, self.number, self.method.shortest, companions)


class Request:
    """Images [n, *shape], their targets (-1: the predicted class) and one method; collects the results.

    The request owns the arrays from then on.

    `next_lane` hands out lanes in order. The score and the predicted class of an image come from a lane that
    starts at the image, or from a probe if the method has none. If the target is left to the model, the other
    lanes of the image follow once that lane has decided it; if the target is given, no lane waits.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        targets: npt.NDArray[np.int64],
        method: Method,
        companions: Mapping[str, npt.NDArray[Any]] | None = None,
        deadline: float | None = None,
    ) -> None:
        n = len(images)
        self.companions = dict(companions or {})
        self.images = images.reshape(n, -1)
        self.method = method
        self.future = Outcome()
        """Pending until the result is there, so that it can be cancelled at any time before."""
        self._settled = False
        self.deadline = deadline
        """When `time.monotonic()` is past it, the request fails; None: never."""
        self.queued = False
        """Whether it stands in the queue."""
        self._image_lane = method.image_lane
        self._probes = not method.starts_at_image and self._image_lane is None
        self._per_image = method.lanes
        self._end_lane = method.end_lane
        self._shape = images.shape
        self.targets = targets
        self._values = np.zeros(self.images.shape, np.float32)
        # What changes with every lane is in lists: an entry of an array takes several times as long.
        self._steps, self._status, self._label = [0] * n, [0] * n, [0] * n
        self._score, self._end_score = [0.0] * n, [0.0] * n
        self._left = [self._per_image + self._probes] * n
        self._unfinished = n
        self._alone = self._per_image == 1 and type(method).collector is Method.collector
        """Whether the one lane's sum is the image's attribution as it is."""
        self._gatherings: dict[int, Gathering] = {}
        """Of the images of which a lane ended, and not all."""
        self._fresh = self._first_lanes()
        self._ready: list[Iterator[Lane]] = []

    @property
    def over(self) -> bool:
        """Whether it has its result, failed or was cancelled."""
        return self.future.over

    def fail(self, error: Exception) -> None:
        """End it with `error`, unless it is over already."""
        self._drop()
        if self._settle():
            self.future.set_exception(error)

    def acknowledge(self) -> None:
        """If it was cancelled, drop what it gathered and notify callers that wait for several futures."""
        if self.future.cancelled():
            self._drop()
            self._settle()

    def _drop(self) -> None:
        for gathering in self._gatherings.values():
            gathering.drop()
        self._gatherings.clear()

    def _settle(self) -> bool:
        """Whether the future takes an outcome now; only the first time, and not if it was cancelled."""
        if self._settled:
            return False
        self._settled = True
        return self.future.set_running_or_notify_cancel()

    def next_lane(self) -> Lane | None:
        """The next lane to run, or None where none is ready now."""
        while self._ready:
            lane = next(self._ready[-1], None)
            if lane is not None:
                return lane
            self._ready.pop()
        return next(self._fresh, None)

    def _first_lanes(self) -> Iterator[Lane]:
        for index in range(len(self.images)):
            at_image = self._probes or self._image_lane is not None
            waits = at_image and bool(self.targets[index] < 0)
            if self._probes:
                yield Lane(self, index, 0, _PROBE, opens=waits)
            elif waits and self._image_lane is not None:
                yield Lane(self, index, self._image_lane, self.method, opens=True)
            if not waits:
                yield from self._lanes_of(index)

    def _lanes_of(self, index: int, but: int | None = None) -> Iterator[Lane]:
        for number in range(self._per_image):
            if number != but:
                yield Lane(self, index, number, self.method)

    def deliver(self, lane: Lane, lanes: Lanes, slot: int) -> bool:
        """Take the results of the lane that ended in `slot`; returns whether its image is now complete."""
        i = lane.index
        probe = lane.method is _PROBE
        status = int(lanes.status[slot])
        if probe or self.method.starts_at_image or lane.number == self._image_lane:
            self.targets[i] = lanes.first_target[slot]
            self._label[i] = lanes.first_label[slot]
            self._score[i] = lanes.first_score[slot]
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
            if self._alone:
                self._values[i] = lanes.sum[slot]
            else:
                self._gather(i, lanes).take(lane.number, slot)
        self._left[i] -= 1
        return self._left[i] == 0

    def _gather(self, index: int, lanes: Lanes) -> Gathering:
        gathering = self._gatherings.get(index)
        if gathering is None:
            gathering = self._gatherings[index] = lanes.gathering(self.method.collector(lanes.features))
        return gathering

    def finish(self, index: int) -> None:
        """All of the image's lanes were delivered."""
        if not self._alone:
            gathering = self._gatherings.pop(index, None)
            if gathering is None:
                return  # the request failed after that
            gathering.result(self._values[index])
        if self._status[index] == Status.NON_FINITE:
            self._values[index] = 0.0
        self._unfinished -= 1
        if self._unfinished == 0:
            self._complete()

    def _complete(self) -> None:
        result = Attribution(
            values=self._values.reshape(self._shape),
            target=self.targets,
            label=np.array(self._label, np.int64),
            steps=np.array(self._steps, np.int32),
            status=np.array(self._status, np.int32),
            score=np.array(self._score, np.float32),
            end_score=None if self._end_lane is None else np.array(self._end_score, np.float32),
        )
        if self._settle():
            self.future.set_result(result)
