"""A method of lanes that end in another order than their numbers', with a sum that depends on the order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fluxpath.runtime import Method, Status

TERMS = np.array([1e8, 3, -1e8, 5, 7e7, 0.1, -7e7], np.float32)


@dataclass(frozen=True)
class Uneven(Method):
    """Lane k gives TERMS[k] after (5 k mod 7) + 1 evaluations; at evaluation `fails_at` it raises."""

    lanes: int = len(TERMS)
    starts_at_image: bool = True
    fails_at: int = -1

    def advance(self, lanes, slots):
        number, step = lanes.number[slots], lanes.step[slots] + 1
        if self.fails_at in step:
            raise ArithmeticError("as was to be shown")
        lanes.step[slots] = step
        lanes.sum[slots] = np.repeat(TERMS[number, None], lanes.features, 1)
        lanes.status[slots[step > 5 * number % 7]] = Status.COMPLETE


def in_order() -> np.float32:
    """The sum in float32, one lane after the other."""
    total = np.float32(0)
    for term in TERMS:
        total += term
    return total
