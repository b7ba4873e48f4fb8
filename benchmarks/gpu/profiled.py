"""What a walk's time goes into on the device: torch's profiler around a side, kernels by their sum.

python -m benchmarks.gpu.profiled ResNet-50 --sides "torchscript bfloat16 channels-last"
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.gpu.errors import survive
from benchmarks.gpu.models import NAMES, images_of, predicted, subject
from benchmarks.gpu.place import Row, note
from benchmarks.gpu.setup import Setup
from benchmarks.gpu.sides import MFABAS, Side

SHOWN, NOTED = 20, 60
"""How many kernels are printed, and written."""


def main(given: list[str] | None = None) -> int:
    """Profile every side with one image and with many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("--sides", nargs="+", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=20)
    parser.add_argument("--until", type=float, default=600, help="seconds after which nothing is begun")
    options = parser.parse_args(given)
    end = time.monotonic() + options.until
    setup = Setup(subject(options.model), options.device, options.max_steps, options.slots)
    for side in map(Side.parse, options.sides):
        try:
            for batch in (options.images, 1):
                if time.monotonic() > end - 5:
                    print(f"  no time for {side.name}, {batch} images", flush=True)
                else:
                    _report(setup, side, batch)
        except Exception as error:  # one side that fails must not cost the others'
            survive(side.name, error)
    return 0


def _report(setup: Setup, side: Side, batch: int) -> None:
    images = images_of(setup.subject, batch)
    targets = predicted(setup.subject, images, setup.device)
    with ExitStack() as stack:
        side.prepare()
        explain = side.open(setup, stack, 60)
        for _ in range(8 if batch == 1 else 3):
            explain(images, targets, MFABAS[0])
        activities = [torch.profiler.ProfilerActivity.CPU]
        if setup.cuda:
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        # The engine has a thread of its own.
        threads = torch.profiler._ExperimentalConfig(profile_all_threads=True)
        with torch.profiler.profile(activities=activities, experimental_config=threads) as profile:
            start = time.perf_counter()
            explain(images, targets, MFABAS[0])
            wall = time.perf_counter() - start
    row: Row = {"model": setup.subject.name, "side": side.name, "images": batch, "wall_us": 1e6 * wall}
    row |= _sums(profile.events(), setup.cuda)
    note("profile", row)
    print(f"\n  {setup.subject.name}, {side.name}, {batch} images: {1e3 * wall:.2f} ms", end="")
    print(f", of which the device works {row['busy_us'] / 1e3:.2f} ms", flush=True)
    whole = sum(taken for _, taken, _ in row["kernels"]) or 1.0
    for name, taken, calls in row["kernels"][:SHOWN]:
        print(f"    {taken / whole:6.1%} {taken:10.0f} us {calls:6} x  {name[:140]}", flush=True)


def _sums(events: Any, cuda: bool) -> Row:
    """The microseconds in which anything runs on the device, and each kernel's sum and calls, longest first.

    On a CPU, of torch's operators.
    """
    kind = torch.autograd.DeviceType.CUDA if cuda else torch.autograd.DeviceType.CPU
    chosen = [event for event in events if event.device_type == kind]
    total: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for event in chosen:
        total[event.name] += event.time_range.elapsed_us()
        calls[event.name] += 1
    busy = end = 0.0
    for first, last in sorted((e.time_range.start, e.time_range.end) for e in chosen):
        busy += max(0.0, last - max(first, end))
        end = max(end, last)
    longest = sorted(total, key=lambda name: -total[name])[:NOTED]
    return {"busy_us": busy, "kernels": [(name, total[name], calls[name]) for name in longest]}


if __name__ == "__main__":
    raise SystemExit(main())
