"""Where a tick's time goes: the gradient graph or the rest, and how close the fused kernels are to a copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fluxpath.manifest import GRADIENT_DTYPES
from fluxpath.runtime import MFABA, Explainer, Method, NeFLAG
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.device.sums import DeviceSums
from fluxpath.runtime.lanes import Fresh

ROUNDS = 20

# Of an element and advance, beside the gradient that is read twice. MFABA, which reads no image if it has no
# radius: point, pending and sum read and written. NeFLAG's step: image and point read, image read again,
# point written.
BYTES: dict[str, tuple[Method, int]] = {
    "MFABA": (MFABA(max_steps=2**31 - 1), 24),
    "NeFLAG": (NeFLAG(n=1, stop="label", max_steps=2**31 - 1), 16),
}


def outside_graph(explainer: Explainer, work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The share of `work`'s time in which the gradient graph does not run.

    Each number of slots that `work` evaluates is timed once more by itself, from the call to the end on the
    device, the median of `rounds`.
    """
    engine: Any = explainer._driver._engine
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
    alone = {count: _seconds(lambda c=count: _evaluate(session, lanes, c), rounds) for count in set(counts)}
    return max(0.0, 1 - sum(alone[count] for count in counts) / whole)


def fused_bandwidth(device: Device, slots: int = 64, features: int = 3 * 224 * 224) -> dict[str, float]:
    """GB/s of an advance by method and gradient type, of adding up, and of a copy within the device.

    Read and written.
    """
    found = {}
    for gradient in GRADIENT_DTYPES:
        lanes = _filled(device, slots, features, gradient)
        numbers = np.arange(slots, dtype=np.int32)
        size = 4 if gradient == "float32" else 2
        for name, (method, more) in BYTES.items():
            method.advance(lanes, numbers)
            seconds = _repeated(lanes, lambda m=method, on=lanes, n=numbers: m.advance(on, n))
            if lanes.status[:].any():
                raise RuntimeError(f"lanes of {name} ended, and the kernels leave those alone")
            found[f"{name}, {gradient} gradients"] = slots * features * (2 * size + more) / seconds / 1e9
    found.update(_adding_up(lanes))
    there: Any = lanes
    whole = slots * there.point.row
    seconds = _repeated(lanes, lambda: device.copy(there.point.address, there.image.address, whole))
    return {**found, "copy": 2 * whole / seconds / 1e9}


def _adding_up(lanes: DeviceLanes) -> dict[str, float]:
    """The rows of a tick in which every lane ends, added to those of images that have lanes already."""
    rows: Any = lanes.sum
    sums, found = DeviceSums(lanes.device, rows), {}
    for name, kernel, images, own in (
        ("sum of one image's lanes", "add_sums", 1, 4),
        ("sums of as many images", "add_sums", lanes.slots, 4),
        ("variances of as many images", "add_moments", lanes.slots, 16),
    ):
        spare, taken = sums.sums if own == 4 else sums.moments, 2 * lanes.slots
        ended = [[sums.row(slot) for slot in range(k, lanes.slots, images)] for k in range(images)]
        (launch,) = sums.prepared({kernel: [(spare.take(), taken, more) for more in ended]})
        seconds = _repeated(lanes, lambda launch=launch: lanes.device.launch(*launch))
        found[name] = lanes.features * (4 * lanes.slots + 2 * own * images) / seconds / 1e9
    return found


def _filled(device: Device, slots: int, features: int, gradient: str) -> DeviceLanes:
    lanes = DeviceLanes(device, slots, (features,), 0.0, 1.0, gradient=gradient)
    rng = np.random.default_rng(0)
    for slot in range(slots):
        lanes.fill([Fresh(slot, rng.random(features, np.float32), 0)])
        lanes.gradient[slot] = rng.standard_normal(features, np.float32)
    lanes.scale[:] = 1.0
    return lanes


def _repeated(lanes: DeviceLanes, launch: Callable[[], object], times: int = 10) -> float:
    """Seconds of one launch, of several between two looks at the clock: the wait then weighs little."""

    def several() -> None:
        for _ in range(times):
            launch()
        _wait(lanes)

    return _seconds(several, ROUNDS) / times


def _evaluate(session: Any, lanes: Any, count: int) -> None:
    session.run(count)
    _wait(lanes)


def _wait(lanes: Any) -> None:
    """Until the device is done; on the CPU everything is."""
    if isinstance(lanes, DeviceLanes):
        lanes.changed()
        _ = lanes.status[:1]


def _seconds(work: Callable[[], object], rounds: int) -> float:
    # More often than a batch size runs before it is captured.
    for _ in range(min(5, rounds)):
        work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
