"""The fused kernels' GB/s, beside a copy within the device.

    python -m benchmarks.gpu.bandwidth [--slots 64 1]

Counted as read and written: an advance of MFABA and NeFLAG by gradient type, each of MFABA's two kernels
alone, the sums of images' lanes. With few slots, it is the host's launches that take the time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.errors import survive
from benchmarks.gpu.place import note
from fluxpath.bench.clock import seconds, wait
from fluxpath.manifest import GRADIENT_DTYPES
from fluxpath.runtime import MFABA, Method, NeFLAG
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.device.sums import DeviceSums
from fluxpath.runtime.lanes import Fresh

ROUNDS = 20
BEYOND_CACHES = 200e6
"""Bytes of all sets of lanes together, so that each is read from the device's memory; at most 4 sets."""

FOREVER = 2**31 - 1
# Of an element and advance, beside the gradient that is read twice. MFABA, which reads no image if it has no
# radius: point, pending and sum read and written. NeFLAG's step: image and point read, image read again,
# point written.
BYTES: dict[str, tuple[Method, int]] = {
    "MFABA": (MFABA(max_steps=FOREVER, step_size=None), 24),
    "NeFLAG": (NeFLAG(n=1, stop="label", max_steps=FOREVER, radius=0.1), 16),
}
KERNELS = {"mfaba_measure": 0, "mfaba_move": 24}
"""MFABA's kernels, and the bytes of an element beside the gradient that each reads once."""


def main(given: list[str] | None = None) -> int:
    """Measure, print, and note every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[64, 1])
    parser.add_argument("--features", type=int, default=3 * 224 * 224)
    parser.add_argument("--until", type=float, default=600, help="seconds after which nothing is begun")
    options = parser.parse_args(given)
    from fluxpath.runtime.device.cuda import cuda_device

    return measure(cuda_device(0), options.slots, options.features, options.until)


def measure(device: Device, slots: list[int], features: int, until: float) -> int:
    """Each number of slots; one that fails does not cost the others'."""
    end = time.monotonic() + until
    for count in slots:
        try:
            for name, rate in fused_bandwidth(device, count, features):
                note("bandwidth", {"slots": count, "what": name, "GB/s": rate})
                print(f"  {count:4} slots  {name:44}{rate:8.0f} GB/s", flush=True)
                if time.monotonic() > end:
                    print("  no time for the rest", flush=True)
                    return 0
        except Exception as error:
            survive(f"{count} slots", error)
    return 0


def fused_bandwidth(
    device: Device, slots: int = 64, features: int = 3 * 224 * 224
) -> Iterator[tuple[str, float]]:
    """The name and the GB/s of each thing that is measured, one after the other."""
    for gradient in GRADIENT_DTYPES:
        size = 4 if gradient == "float32" else 2
        row = slots * features
        sets = [_filled(device, slots, features, gradient) for _ in range(_sets(row * (16 + size)))]
        if gradient == GRADIENT_DTYPES[0]:
            yield "copy", _copied(device, sets)
            yield from _adding_up(sets[0])
        numbers = np.arange(slots, dtype=np.int32)
        for name, (method, more) in BYTES.items():
            taken = _repeated(sets, lambda lanes, m=method, n=numbers: m.advance(lanes, n))
            if any(lanes.status[:].any() for lanes in sets):
                raise RuntimeError(f"lanes of {name} ended, and the kernels leave those alone")
            yield f"{name}, {gradient} gradients", row * (2 * size + more) / taken / 1e9
        method = BYTES["MFABA"][0]
        for kernel, more in KERNELS.items():
            taken = _repeated(sets, lambda lanes, m=method, k=kernel, n=numbers: _alone(lanes, m, k, n))
            yield f"{kernel} alone, {gradient} gradients", row * (size + more) / taken / 1e9


def _sets(size: int) -> int:
    """How many sets of lanes of that many bytes go in turn."""
    return max(1, min(4, int(BEYOND_CACHES // size) + 1))


def _copied(device: Device, sets: list[DeviceLanes]) -> float:
    there: Any = sets[0]
    whole: int = there.slots * there.point.row

    def copy(lanes: Any) -> None:
        device.copy(lanes.point.address, lanes.image.address, whole)

    return 2 * whole / _repeated(sets, copy) / 1e9


def _alone(lanes: DeviceLanes, method: Method, kernel: str, numbers: Any) -> None:
    """An advance of which only the launches of that kernel happen."""
    device: Any = lanes.device
    launch = device.launch

    def chosen(name: str, grid: tuple[int, int], arguments: Any) -> None:
        if name.startswith(kernel):
            launch(name, grid, arguments)

    device.launch = chosen
    try:
        method.advance(lanes, numbers)
    finally:
        del device.launch


def _adding_up(lanes: DeviceLanes) -> Iterator[tuple[str, float]]:
    """The rows of a tick in which every lane ends, added to those of images that have lanes already."""
    rows: Any = lanes.sum
    sums = DeviceSums(lanes.device, rows)
    for name, kernel, images, own in (
        ("sum of one image's lanes", "add_sums", 1, 4),
        ("sums of as many images", "add_sums", lanes.slots, 4),
        ("variances of as many images", "add_moments", lanes.slots, 16),
    ):
        spare, taken = sums.sums if own == 4 else sums.moments, 2 * lanes.slots
        ended = [[sums.row(slot) for slot in range(k, lanes.slots, images)] for k in range(images)]
        (launch,) = sums.prepared({kernel: [(spare.take(), taken, more) for more in ended]})
        once = _repeated([lanes], lambda lanes, launch=launch: lanes.device.launch(*launch))
        yield name, lanes.features * (4 * lanes.slots + 2 * own * images) / once / 1e9


def _filled(device: Device, slots: int, features: int, gradient: str) -> DeviceLanes:
    lanes = DeviceLanes(device, slots, (features,), 0.0, 1.0, gradient=gradient)
    rng = np.random.default_rng(0)
    image, slope = rng.random(features, np.float32), rng.standard_normal(features, np.float32)
    for slot in range(slots):
        lanes.fill([Fresh(slot, np.roll(image, slot), 0)])
        lanes.gradient[slot] = slope
    lanes.scale[:] = 1.0
    return lanes


def _repeated(sets: list[DeviceLanes], launch: Callable[..., object], times: int = 12) -> float:
    """Seconds of one launch, of several between two looks at the clock: the wait then weighs little."""

    def several() -> None:
        for turn in range(times):
            launch(sets[turn % len(sets)])
        wait(sets[0])

    return seconds(several, ROUNDS) / times


if __name__ == "__main__":
    raise SystemExit(main())
