"""Random numbers of a case: the same whatever was drawn before, for other cases or other metrics."""

from __future__ import annotations

import zlib

import numpy as np

from fluxpath.runtime.metrics.base import Case


def generator(case: Case, purpose: str, number: int = 0) -> np.random.Generator:
    """The case's own random numbers for a purpose, such as the name of a metric.

    Philox, a counter-based generator, whose key is the case's seed and the purpose, and whose counter starts
    at `number`, of a sample, times 2^64.
    """
    key = np.array([case.seed % 2**64, zlib.crc32(purpose.encode())], np.uint64)
    counter = np.array([0, number, 0, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
