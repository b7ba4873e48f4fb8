"""Images on a device: what is there is not sent again, and nothing is taken for another."""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice

from fluxpath.runtime import MFABA, NeFLAG
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.images import DeviceImages
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request

FEATURES = 6


def some(n, seed=0):
    return list(np.random.default_rng(seed).random((n, FEATURES)).astype(np.float32))


def read(device, images, place):
    row = np.empty(FEATURES, np.float32)
    device.download(row, images.address + place * 4 * FEATURES)
    return row


@pytest.fixture
def made():
    device = HostDevice()
    return device, DeviceImages(device, 3, FEATURES)


def test_an_image_that_was_sent_is_not_uploaded(made):
    device, images = made
    given = some(3)
    images.send(given[:2])
    assert [name for name, _ in device.log] == ["send", "send"]
    device.log.clear()
    places = images.places(given)
    assert device.log == [("upload", 4 * FEATURES)]
    for image, place in zip(given, places, strict=True):
        np.testing.assert_array_equal(read(device, images, place), image)


def test_the_same_image_twice_takes_one_row(made):
    device, images = made
    one, other = some(2)
    assert len(set(images.places([one, other, one]))) == 2
    assert len(device.log) == 2


def test_no_image_of_a_tick_makes_room_for_another(made):
    """The oldest rows go first, but for those that are needed now."""
    device, images = made
    first, second = some(3, 1), some(3, 2)
    images.places(first)
    images.send(second)
    mixed = [first[0], *some(2, 3)]
    for image, place in zip(mixed, images.places(mixed), strict=True):
        np.testing.assert_array_equal(read(device, images, place), image)


def test_more_images_than_slots_are_not_sent(made):
    device, images = made
    images.send(some(20))
    assert len(device.log) == 3


def test_an_array_in_the_place_of_one_that_is_gone(made):
    """Python gives the ids of arrays that are gone to new ones."""
    device, images = made
    ids = set()
    for seed in range(50):
        (image,) = some(1, seed)
        ids.add(id(image))
        (place,) = images.places([image])
        np.testing.assert_array_equal(read(device, images, place), image)
        del image
    assert len(ids) < 50 and len(images._known) <= 6


@pytest.mark.parametrize(
    ("method", "first"),
    [pytest.param(MFABA(), 4, id="MFABA"), pytest.param(NeFLAG(3, 0.1, max_steps=4), 1, id="NeFLAG")],
)
def test_copies_run_beside_the_evaluation(graph, method, first):
    """After a tick's launches and before those of its end, but for the first images and last results."""
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    engine = Engine(session, DeviceLanes(session.device, 4, session.manifest.shape, 0.0, 1.0))
    images = models.images("smooth", 12)
    engine.add(Request(images, np.full(12, 1), method))
    log, row = session.device.log, images[0].nbytes
    log.clear()
    uploads = fetches = 0
    while engine.busy:
        log.clear()
        engine.tick()
        names = [name for name, _ in log]
        over = names.index("add_sums") if "add_sums" in names else len(names)
        sent = [k for k, entry in enumerate(log) if entry == ("send", row)]
        fetched = [k for k, entry in enumerate(log) if entry == ("fetch", row)]
        uploads += log.count(("upload", row))
        fetches += len(fetched)
        if engine._running:
            assert all(k < over for k in fetched)
        assert all(k < over for k in sent)
    assert fetches == 12 and uploads == first
