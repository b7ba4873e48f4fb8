"""How an image's attribution is made from its lanes, which may end in any order."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]


class Collector(Protocol):
    """Makes one image's attribution from the sums of its lanes."""

    def add(self, values: Row) -> None:
        """Take the next lane's `sum`, float32 [features], in lane order. The array must not be kept."""
        ...

    def result(self) -> Row:
        """The attribution, float32 [features], after the last lane."""
        ...


class Total:
    """The sum over the lanes, which is what most methods are."""

    def __init__(self, features: int) -> None:
        self._sum = np.zeros(features, np.float32)

    def add(self, values: Row) -> None:
        """Add one lane."""
        self._sum += values

    def result(self) -> Row:
        """The sum."""
        return self._sum


class Variance:
    """The variance of the lanes' sums in one pass (Welford, 1962), in float64."""

    def __init__(self, features: int) -> None:
        self._count = 0
        self._mean, self._squares = np.zeros(features), np.zeros(features)

    def add(self, values: Row) -> None:
        """Add one sample."""
        self._count += 1
        before = values - self._mean
        self._mean += before / self._count
        self._squares += before * (values - self._mean)

    def result(self) -> Row:
        """The variance of the samples, divided by their number."""
        return (self._squares / self._count).astype(np.float32)


class Gathering(Protocol):
    """Combines one image's lane sums in lane order, on host or device.

    The result must not depend on which lane ends first, so a lane that ends early is kept until its turn.
    """

    def take(self, number: int, slot: int) -> None:
        """Take the sum of lane `number` from `slot`, which is reused after this tick."""
        ...

    def result(self, values: Row) -> None:
        """Write the attribution to `values`, float32 [features]. Called once, after the last lane."""
        ...

    def drop(self) -> None:
        """Release what was kept: the attribution is not needed any more."""
        ...


class InOrder:
    """Hands the rows of an image's lanes, from `Lanes.sum`, to a collector on the host."""

    def __init__(self, rows: Any, collector: Collector) -> None:
        self._rows, self._collector = rows, collector
        self._next = 0
        self._early: dict[int, Row] = {}

    def take(self, number: int, slot: int) -> None:
        """See `Gathering`."""
        values = self._rows[slot]
        if number != self._next:
            self._early[number] = values.copy()
            return
        while True:
            self._collector.add(values)
            self._next += 1
            if self._next not in self._early:
                return
            values = self._early.pop(self._next)

    def result(self, values: Row) -> None:
        """See `Gathering`."""
        values[:] = self._collector.result()

    def drop(self) -> None:
        """See `Gathering`; host memory needs no release."""
