"""Images on a device from which lanes begin, sent there while the device works on others."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.device.arrays import DeviceRows
from fluxpath.runtime.device.base import Device

Image = npt.NDArray[np.float32]


class DeviceImages:
    """Room for twice as many images as slots: those of the lanes that begin, and of those that follow.

    An image is known by its array object, which must not change while anyone holds it. What is no longer held
    is forgotten.
    """

    def __init__(self, device: Device, slots: int, features: int) -> None:
        self._device, self._slots = device, slots
        self._rows = DeviceRows(device, (2 * slots, features), np.float32)
        self.address = self._rows.address
        self._free = list(range(2 * slots))
        self._known: OrderedDict[int, tuple[weakref.ref[Image], int]] = OrderedDict()
        """By the id of the array: the array and its row, the oldest first."""

    def send(self, images: Sequence[Image]) -> None:
        """Copy the first of these images to the device beside its work, if they are not there."""
        for image in images[: self._slots]:
            if self._place(image) is None:
                self._device.send(self._address(self._take(image)), _flat(image))

    def places(self, images: Sequence[Image]) -> list[int]:
        """The rows of at most as many different images as slots; copies those that are not there."""
        there = [
            self._place(image) for image in images
        ]  # all of them first, so that none makes room for another
        for k, image in enumerate(images):
            if there[k] is None and (again := self._place(image)) is not None:
                there[k] = again  # the same image once more
            elif there[k] is None:
                there[k] = self._take(image)
                self._device.upload(self._address(self._known[id(image)][1]), _flat(image))
        return [place for place in there if place is not None]

    def _address(self, row: int) -> int:
        return self.address + row * self._rows.row

    def _place(self, image: Image) -> int | None:
        """The image's row, which is then the newest; None if it is not on the device."""
        held, row = self._known.get(id(image), (None, 0))
        if held is None or held() is not image:
            return None
        self._known.move_to_end(id(image))
        return row

    def _take(self, image: Image) -> int:
        """A row for the image: a free one, or that of the oldest."""
        old = self._known.pop(id(image), None)  # of an array that is gone, whose id this one got
        if old is not None:
            self._free.append(old[1])
        row = self._free.pop() if self._free else self._known.popitem(last=False)[1][1]
        self._known[id(image)] = weakref.ref(image), row
        return row


def _flat(image: Image) -> Image:
    return np.ascontiguousarray(image, np.float32)
