"""Images gathered on a device and, of the same lanes, in numpy."""

from __future__ import annotations

import numpy as np

from fluxpath.runtime.device.arrays import DeviceRows
from fluxpath.runtime.device.sums import DeviceSums
from fluxpath.runtime.lanes.gathering import InOrder, Total, Variance

SLOTS = 6
KINDS = [Total, Variance]


class Gathered:
    """The same lanes on the device and in numpy; `tick` ends lanes of several images in one go."""

    def __init__(self, device, features, kinds, seed=0):
        self.rng, self.device = np.random.default_rng(seed), device
        self.rows = DeviceRows(device, (SLOTS, features), np.float32)
        self.sums = DeviceSums(device, self.rows)
        self.there = [self.sums.gathering(kind(features)) for kind in kinds]
        self.host = np.zeros((SLOTS, features), np.float32)
        self.here = [InOrder(self.host, kind(features)) for kind in kinds]
        self.terms = [{} for _ in kinds]

    def tick(self, *ended):
        """ended: image and number of the lanes in slot 0, 1, ...; slots are overwritten by the next tick."""
        shape = self.host.shape
        self.host[:] = self.rng.standard_normal(shape) * 10.0 ** self.rng.integers(-6, 6, shape)
        self.host[:, ::5] = -0.0
        self.rows[:] = self.host
        for slot, (image, number) in sorted(enumerate(ended), key=lambda lane: lane[1][1]):
            self.there[image].take(number, slot)
            self.here[image].take(number, slot)
            self.terms[image][number] = self.host[slot].astype(np.float64)
        self.sums.add_up()

    def result(self, image):
        """From the device and from the host."""
        pair = np.full_like(self.host[0], np.nan), np.empty_like(self.host[0])
        self.there[image].result(pair[0])
        self.here[image].result(pair[1])
        return pair

    def exact(self, image):
        """The lanes' sums in float64, in order."""
        return np.array([row for _, row in sorted(self.terms[image].items())])
