"""How an image's attribution is gathered from its lanes, which may end in any order."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]


class Collector(Protocol):
    """Makes one image's attribution of its lanes' sums."""

    def add(self, values: Row) -> None:
        """Take the next lane's `sum`, float32 [features], in the order of their numbers; not to be kept."""
        ...

    def result(self) -> Row:
        """The attribution, float32 [features], after the last lane."""
        ...


class Total:
    """The sum over the lanes, which is what most methods are."""

    def __init__(self, features: int) -> None:
        self._sum = np.zeros(features, np.float32)

    def add(self, values: Row) -> None:
        """One lane more."""
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
        """One sample more."""
        self._count += 1
        before = values - self._mean
        self._mean += before / self._count
        self._squares += before * (values - self._mean)

    def result(self) -> Row:
        """The variance, of the samples themselves."""
        return (self._squares / self._count).astype(np.float32)


class Gathering(Protocol):
    """One image's lanes on their way into its attribution, wherever that is computed.

    The result must not depend on which lane ended first, so each waits here for those before it.
    """

    def take(self, number: int, slot: int) -> None:
        """Lane `number` ended in `slot`, which it leaves after this tick."""
        ...

    def result(self, values: Row) -> None:
        """Write the attribution to `values`, float32 [features]; all lanes were taken, nothing follows."""
        ...

    def drop(self) -> None:
        """Give up: nobody waits for the attribution any more."""
        ...


class InOrder:
    """Hands the rows of an image's lanes to a collector on the host. rows: `Lanes.sum`."""

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
        """See `Gathering`: there is nothing but host memory."""
