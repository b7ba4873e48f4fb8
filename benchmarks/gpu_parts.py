"""Where a tick's time goes: the gradient graph or the rest, and how close the fused kernels are to a copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.device_lanes import DeviceLanes

ROUNDS = 20
MFABA_BYTES = 36
"""Of an element and advance: gradient (twice), image, point, pending, sum read; the last three written."""


def outside_graph(explainer: Explainer, work: Callable[[], object]) -> float:
    """The share of `work`'s time in which the gradient graph does not run.

    Each number of slots that `work` evaluates is timed once more by itself, from the call to the end on the
    device.
    """
    engine: Any = explainer._engine
    session, lanes = engine._session, engine._lanes
    counts: list[int] = []
    run = session.run

    def counted(count: int) -> None:
        counts.append(count)
        run(count)

    session.run = counted
    try:
        start = time.perf_counter()
        work()
        whole = time.perf_counter() - start
    finally:
        del session.run
    alone = {count: _seconds(lambda c=count: _evaluate(session, lanes, c)) for count in set(counts)}
    return max(0.0, 1 - sum(alone[count] for count in counts) / whole)


def fused_bandwidth(device: str, slots: int = 64, features: int = 3 * 224 * 224) -> dict[str, float]:
    """GB/s of an advance of MFABA and of a copy within the device, bytes read and written counted alike."""
    from fluxpath.runtime.cuda import cuda_device
    from fluxpath.runtime.device import parse

    there = cuda_device(parse(device)[1])
    lanes = DeviceLanes(there, slots, (features,), 0.0, 1.0)
    rng = np.random.default_rng(0)
    for slot in range(slots):
        lanes.clear(slot, rng.random(features, np.float32), 0)
        lanes.gradient[slot] = rng.standard_normal(features, np.float32)
    lanes.scale[:] = 1.0
    method, numbers = MFABA(max_steps=2**31 - 1), np.arange(slots, dtype=np.int32)
    point: Any = lanes.point
    image: Any = lanes.image
    times = 10  # launches between two looks at the clock, so that the wait for the device weighs little

    def advance() -> None:
        for _ in range(times):
            method.advance(lanes, numbers)
        _wait(lanes)

    def copies() -> None:
        for _ in range(times):
            there.copy(point.address, image.address, slots * point.row)
        _wait(lanes)

    elements = slots * features * times
    return {
        "advance of MFABA": elements * MFABA_BYTES / _seconds(advance) / 1e9,
        "copy": elements * 8 / _seconds(copies) / 1e9,
    }


def _evaluate(session: Any, lanes: Any, count: int) -> None:
    session.run(count)
    _wait(lanes)


def _wait(lanes: Any) -> None:
    """Until the device is done; on the CPU everything is."""
    if isinstance(lanes, DeviceLanes):
        lanes.changed()
        _ = lanes.status[:1]


def _seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
