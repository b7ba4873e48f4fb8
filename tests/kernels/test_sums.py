"""Images gathered on a device, against sums in numpy, a lane after the other, and float64."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from slots import same_bits
from twins import relative_error

from fluxpath.runtime.device.arrays import DeviceRows
from fluxpath.runtime.device.sums import DeviceSums, SpareRows
from fluxpath.runtime.lanes.gathering import InOrder, Total, Variance

SIZES = [1, 3, 4, 7, 1000, 1024, 1028, 2050]
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


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_lanes_are_added_in_their_order_to_the_last_bit(device, kind, features):
    """Two images of which lanes end together, in any order, over several ticks, and one beside them."""
    both = Gathered(device, features, [kind, kind, Total])
    both.tick((0, 1), (0, 0), (1, 5), (1, 2), (2, 0))
    both.tick((0, 3), (1, 0), (0, 2), (1, 1))
    both.tick()
    both.tick((1, 4), (1, 3), (0, 5), (0, 6), (0, 4), (2, 1))
    for image in range(3):
        given, expected = both.result(image)
        assert same_bits(given, expected)
        exact, terms = kind if image < 2 else Total, both.exact(image)
        wanted = terms.sum(0) if exact is Total else terms.var(0)
        assert relative_error(given, wanted) < 1e-6
    assert both.sums.sums.used == both.sums.moments.used == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_any_order_gives_the_same_bits(device, kind, order):
    numbers = {"ascending": list(range(13)), "descending": list(range(13))[::-1]}
    lanes = numbers.get(order) or np.random.default_rng(3).permutation(13).tolist()
    both = Gathered(device, 10, [kind])
    while lanes:
        both.tick(*((0, number) for number in lanes[:SLOTS]))
        del lanes[:SLOTS]
    assert same_bits(*both.result(0))


def test_a_single_minus_zero_is_zero_as_in_numpy(device):
    for kind in KINDS:
        both = Gathered(device, 6, [kind])
        both.tick((0, 0))
        given, expected = both.result(0)
        assert same_bits(given, expected) and not np.signbit(given[::5]).any()


def test_one_launch_for_all_images_and_one_copy_for_each():
    device = HostDevice()
    both = Gathered(device, 2050, [Total, Total, Variance, Total])
    device.log.clear()
    both.tick((0, 0), (1, 0), (0, 1), (2, 0), (3, 2))
    names = [name for name, _ in device.log]
    assert names.count("add_sums") == names.count("add_moments") == names.count("download") + 1 == 1
    # Three blocks of 1024 elements; the fourth image's lane is kept.
    assert ("add_sums", 3 * 3) in device.log and ("add_moments", 3) in device.log
    device.log.clear()
    both.result(0)
    assert device.log == [("download", 4 * 2050)]
    device.log.clear()
    both.result(2)
    assert device.log == [("variance_of", 3), ("download", 4 * 2050)]
    device.log.clear()
    both.sums.add_up()
    assert device.log == []


@pytest.mark.parametrize("reversed", [False, True])
def test_rows_are_used_again_and_not_before_they_are_free(reversed):
    """Lanes that were kept and are added now, dropped images and new ones in the same tick."""
    images = 40
    both = Gathered(HostDevice(reversed), 5, [Total] * 2)
    for image in range(2, images):
        both.there.append(both.sums.gathering(Total(5)))
        both.here.append(InOrder(both.host, Total(5)))
        both.terms.append({})
        both.tick((image, 2), (image - 1, 0), (image - 1, 1), (image - 2, 3))
        if image > 3:
            assert same_bits(*both.result(image - 2))
        else:
            both.there[image - 2].drop()
    for image in (images - 2, images - 1):
        both.there[image].drop()
    both.sums.add_up()
    assert both.sums.sums.used == 0
    assert len(both.sums.sums._blocks) == 1


def test_a_dropped_image_takes_nothing_more_and_hurts_nobody():
    both = Gathered(HostDevice(), 5, [Total, Variance, Total])
    both.tick((0, 0), (1, 0), (2, 0))
    both.there[0].take(1, 0)
    both.there[0].take(3, 1)
    both.there[1].take(2, 2)
    for dropped in both.there[:2]:
        dropped.drop()
    both.tick((2, 1))
    assert same_bits(*both.result(2))
    assert both.sums.sums.used == both.sums.moments.used == 0


def test_rows_go_back_where_the_copy_fails(monkeypatch):
    both = Gathered(HostDevice(), 5, [Total])
    both.tick((0, 0))
    monkeypatch.setattr(both.device, "download", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        both.result(0)
    assert both.sums.sums.used == 0


def test_more_rows_than_the_list_had_room_for():
    """An image's kept lanes may become due in one tick."""
    both = Gathered(HostDevice(), 5, [Total])
    held = both.sums._list.address
    last = 600
    for first in range(1, last, SLOTS):
        both.tick(*((0, number) for number in range(first, min(first + SLOTS, last))))
    assert both.sums.sums.used == last
    both.tick((0, 0))
    assert both.sums._list.address != held
    assert same_bits(*both.result(0))
    assert both.sums.sums.used == 0


@pytest.mark.parametrize(("size", "rows"), [(1, 16), (2**20, 16), (3 * 2**20, 5), (2**25, 1)])
def test_rows_are_allocated_some_at_a_time(monkeypatch, size, rows):
    device, allocated = HostDevice(), []
    monkeypatch.setattr(device, "allocate", lambda size: allocated.append(size) or 256)
    monkeypatch.setattr(device, "free", lambda address: None)
    spare = SpareRows(device, size)
    taken = [spare.take() for _ in range(rows)]
    assert allocated == [rows * max(256, size)] and len(set(taken)) == rows
    assert all(address % 256 == 0 for address in taken)
    spare.take()
    assert len(allocated) == 2
