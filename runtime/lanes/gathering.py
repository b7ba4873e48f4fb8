"""Combines the lanes of an image, which can end in any order, into its attribution."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]


class Collector(Protocol):
    """Computes one image's attribution from its lanes' sums."""

    def add(self, values: Row) -> None:
        """Add the next lane's `sum`, float32 [features], in order of lane number. Do not keep the array."""
        ...

    def result(self) -> Row:
        """Return the attribution, float32 [features]; called after the last lane."""
        ...


class Total:
    """The sum over the lanes, the default of a method."""

    def __init__(self, features: int) -> None:
        self._sum = np.zeros(features, np.float32)

    def add(self, values: Row) -> None:
        """Add one lane's sum."""
        self._sum += values

    def result(self) -> Row:
        """Return the sum over the lanes, float32 [features]."""
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
        """Return the population variance (divided by the number of samples), float32 [features]."""
        return (self._squares / self._count).astype(np.float32)


class Gathering(Protocol):
    """Combines one image's lane sums in lane order, on host or device.

    The result must not depend on which lane ends first, so a lane that ends early is held back.
    """

    def take(self, number: int, slot: int) -> None:
        """Add lane `number`, which ended in `slot`; the slot is reused after this tick."""
        ...

    def result(self, values: Row) -> None:
        """Write the attribution to `values`, float32 [features]; the last call, after all lanes."""
        ...

    def drop(self) -> None:
        """Discard the partial result: the attribution is no longer needed."""
        ...


class InOrder:
    """Passes an image's rows of `Lanes.sum`, `rows`, to a collector on the host."""

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
        """See `Gathering`; only host memory is held, which needs no release."""
