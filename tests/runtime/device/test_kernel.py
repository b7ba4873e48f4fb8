"""Lanes on a device: the engine, both backends and their bookkeeping, with the kernels' source on the CPU."""

from __future__ import annotations

import numpy as np
from sessions import METHODS, DeviceLinear, LinearSession, compare, some_images

from fluxpath.runtime import AGI, BIG, MFABA, Explainer, GuidedIG
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Fresh

WALKS = [AGI(classes=2, choice="top"), BIG(integration_steps=5), GuidedIG(steps=7)]
"""Without kernels of their own."""


def test_the_engine_gives_the_same_on_a_device():
    """More images than slots, so that lanes are refilled and moved."""
    with (
        Explainer.from_session(DeviceLinear(), slots=4) as there,
        Explainer.from_session(LinearSession(), slots=4) as here,
    ):
        futures = [
            (there.submit(images, method=m), here.submit(images, method=m))
            for k, m in enumerate([*METHODS, *WALKS])
            for images in [some_images(5, seed=k)]
        ]
        for given, expected in futures:
            compare(given.result(60), expected.result(60))


def test_a_tick_brings_one_small_block_to_the_host():
    session = DeviceLinear()
    lanes = DeviceLanes(session.device, 2, (6,), 0.0, 1.0)
    lanes.fill([Fresh(slot, image, -1, slot) for slot, image in enumerate(some_images(2))])
    lanes.gradient[:], lanes.scale[:], lanes.label[:] = 1.0, 1.0, 1
    method, slots = MFABA(), np.arange(2, dtype=np.int32)
    for tick in range(2):
        session.device.log.clear()
        lanes.changed()
        lanes.note_start(2)
        method.advance(lanes, slots)
        assert not np.flatnonzero(lanes.status[:2]).size and lanes.step[0] == tick + 1
        copies = [name for name, _ in session.device.log if name in ("upload", "download")]
        assert copies == (["upload", "download"] if tick == 0 else ["download"])
