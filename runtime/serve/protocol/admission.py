"""How much may wait: images, and the gradient evaluations that they will take."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fluxpath.errors import InputError
from fluxpath.runtime.methods import Method
from fluxpath.runtime.serve.protocol.errors import BusyError

_HALF_LIFE = 10.0
"""Busy seconds after which a measurement counts half."""
_KNOWN = 256
"""Of how many methods, by their settings, the mean number of evaluations is remembered."""


class Rate:
    """Evaluations per second while there was work, the last half minute most; from one thread.

    total: gives how many there were in all.
    """

    def __init__(self, total: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._since, self._counted = clock(), total()
        self._done = self._busy = 0.0

    def note(self, working: bool) -> None:
        """Say whether there was work since the last call."""
        now, total = self._clock(), self._total()
        if working:
            faded = 0.5 ** ((now - self._since) / _HALF_LIFE)
            self._done = self._done * faded + total - self._counted
            self._busy = self._busy * faded + now - self._since
        self._since, self._counted = now, total

    @property
    def per_second(self) -> float | None:
        """None before anything was measured."""
        return self._done / self._busy if self._busy > 0 and self._done > 0 else None


class Costs:
    """How many gradient evaluations an image takes: the mean so far; at first what is usual, or the most."""

    def __init__(self) -> None:
        self._means: OrderedDict[Method, float] = OrderedDict()

    def predicted(self, method: Method) -> float:
        """Evaluations for each image."""
        return self._means.get(method) or method.usual or _most(method)

    def learn(self, method: Method, per_image: float) -> None:
        """Take what images took into the mean."""
        old = self._means.get(method, per_image)
        self._means[method] = old + 0.1 * (per_image - old)
        self._means.move_to_end(method)
        while len(self._means) > _KNOWN:
            self._means.popitem(last=False)


def _most(method: Method) -> float:
    """Of the walks, a lane's longest; settings of methods that have none count nothing."""
    lane = 1 + getattr(method, "max_steps", 0) * len(getattr(method, "radii", (0,)))
    lane += getattr(method, "bisections", 0) + getattr(method, "integration_steps", 0)
    lane += getattr(method, "steps", 0) if method.lanes == 1 else 0
    return float(method.lanes) * lane + 1


class Gate:
    """Counts what a model has accepted and not answered, and refuses what would be too much.

    It keeps no queue of its own: what it lets in goes to the engine at once. From the event loop's thread.
    """

    def __init__(
        self,
        images: int,
        evaluations: int,
        total: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most_images, self.most_evaluations = images, evaluations
        self.images, self.evaluations = 0, 0.0
        self.rate, self.costs = Rate(total, clock), Costs()

    @contextmanager
    def entered(self, images: int, method: Method | None) -> Iterator[Callable[[float], None]]:
        """Count so many images until the end; what it gives takes how many evaluations they took.

        method: None for what takes no gradient. Raises BusyError, with the seconds until there should be
        room; InputError for what never fits.
        """
        wanted = images * self.costs.predicted(method) if method is not None else 0.0
        self._need_room(images, wanted)
        self.rate.note(self.evaluations > 0)
        self.images += images
        self.evaluations += wanted

        def learn(evaluations: float) -> None:
            if method is not None:
                self.costs.learn(method, evaluations / images)

        try:
            yield learn
        finally:
            self.rate.note(self.evaluations > 0)
            self.images -= images
            self.evaluations -= wanted
            if self.images == 0:
                self.evaluations = 0.0  # what rounding left

    def _need_room(self, images: int, wanted: float) -> None:
        if images > self.most_images or wanted > self.most_evaluations:
            raise InputError(
                f"the request would take {wanted:.0f} gradient evaluations of {images} images, and the "
                f"server accepts {self.most_evaluations} and {self.most_images} at a time: send fewer, "
                "or take settings that need fewer steps"
            )
        over = self.evaluations + wanted - self.most_evaluations
        if over <= 0 and self.images + images <= self.most_images:
            return
        share = max(over / self.most_evaluations, (self.images + images) / self.most_images - 1)
        rate = self.rate.per_second
        waiting = max(over, share * self.evaluations)
        raise BusyError(
            f"{self.images} images wait or run, and {images} more would exceed what the server accepts at a "
            f"time ({self.most_images} images, {self.most_evaluations} predicted gradient evaluations): try "
            "again later",
            1.0 if rate is None else max(0.0, waiting) / rate,
        )
