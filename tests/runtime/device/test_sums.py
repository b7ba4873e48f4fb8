"""Rows in which images are gathered on a device, and the launches that gather them."""

from __future__ import annotations

import pytest
from cuda_on_cpu import HostDevice
from gathered import SLOTS, Gathered
from slots import same_bits

from fluxpath.runtime.device.sums import SpareRows
from fluxpath.runtime.lanes.gathering import InOrder, Total, Variance


def test_one_launch_for_all_images_and_one_copy_for_each():
    device = HostDevice()
    both = Gathered(device, 2050, [Total, Total, Variance, Total])
    device.log.clear()
    both.tick((0, 0), (1, 0), (0, 1), (2, 0), (3, 2))
    names = [name for name, _ in device.log]
    assert names.count("add_sums") == names.count("add_moments") == names.count("fetch") + 1 == 1
    # Three blocks of 1024 elements; the fourth image's lane is kept.
    assert ("add_sums", 3 * 3) in device.log and ("add_moments", 3) in device.log
    device.log.clear()
    both.result(0)
    assert device.log == [("fetch", 4 * 2050)]
    device.log.clear()
    both.result(2)
    assert device.log == [("variance_of", 3), ("mark", 0), ("fetch", 4 * 2050)]
    device.log.clear()
    both.sums.add_up()
    assert [entry for entry in device.log if entry[0] != "mark"] == []


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
    monkeypatch.setattr(both.device, "fetch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        both.result(0)
    assert both.sums.sums.used == 0


@pytest.mark.parametrize("kind", [Total, Variance])
def test_more_rows_than_the_list_has_room_for_take_no_more_memory(monkeypatch, kind):
    """An image's kept lanes may become due in one tick; others end in the same."""
    monkeypatch.setattr("fluxpath.runtime.device.sums._LIST", 200)
    both = Gathered(HostDevice(), 5, [kind, Total, Variance])
    last = 600
    for first in range(1, last, SLOTS):
        both.tick(*((0, number) for number in range(first, min(first + SLOTS, last))))
    kept, held = both.sums.sums.used, len(both.device.memory)
    both.tick((0, 0), (1, 0), (2, 0), (1, 1))
    both.tick((2, 1))
    assert len(both.device.memory) == held and kept >= last - 1
    assert all(same_bits(*both.result(image)) for image in range(3))
    assert both.sums.sums.used == both.sums.moments.used == 0


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
