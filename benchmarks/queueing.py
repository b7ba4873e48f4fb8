"""What latency requests at random times would have if serving cost nothing: the bound of `serving`.

One queue and one engine: at each tick up to `slots` images advance by one evaluation, in the time that a tick
of so many takes when it is measured alone. Requests that come faster than the engine's batches grow cheaper
wait for one another, however well they are served.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.runtime import Explainer

SIZES = (1, 2, 4, 8, 16, 32)


def ticks(explainer: Explainer, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Seconds that a tick of 1, 2, .. SIZES[-1] images takes, by the method "saliency", which is one tick."""
    medians = []
    for size in SIZES:
        took = []
        for _ in range(15):
            began = time.perf_counter()
            explainer.attribute(images[:size], method="saliency")
            took.append(time.perf_counter() - began)
        medians.append(float(np.median(took)))
    return np.interp(np.arange(1, SIZES[-1] + 1), SIZES, medians)


def latencies(
    rate: float,
    tick: npt.NDArray[np.float64],
    evaluations: npt.NDArray[np.int64],
    requests: int = 20_000,
) -> npt.NDArray[np.float64]:
    """Seconds from arrival to result of requests at random times, `rate` a second, first come first served.

    tick: seconds of a tick by how many images it has. evaluations: of the images, from which requests draw.
    """
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(1 / rate, requests))
    left = rng.choice(evaluations, requests)
    waiting: deque[int] = deque()
    running: list[int] = []
    found: list[float] = []
    now, come = 0.0, 0
    while len(found) < requests:
        while come < requests and arrivals[come] <= now:
            waiting.append(come)
            come += 1
        while waiting and len(running) < len(tick):
            running.append(waiting.popleft())
        if not running:
            now = arrivals[come]
            continue
        now += tick[len(running) - 1]
        left[running] -= 1
        found += [now - arrivals[i] for i in running if not left[i]]
        running = [i for i in running if left[i]]
    return np.array(found)


def bound(path: Path, images: npt.NDArray[np.float32], loads: tuple[float, ...]) -> dict[str, Any]:
    """Percentiles in milliseconds at shares of the engine's own capacity, and what they follow from."""
    with Explainer(path) as explainer:
        explainer.warmup()
        result = explainer.attribute(images)
        tick = ticks(explainer, images)
    evaluations = result.steps.astype(np.int64) + 1
    capacity = len(tick) / (tick[-1] * evaluations.mean())
    rows = []
    for load in loads:
        quantiles = np.quantile(latencies(load * capacity, tick, evaluations), (0.5, 0.95, 0.99)) * 1e3
        named = zip((50, 95, 99), quantiles, strict=True)
        rows.append({"share": load, **{f"p{q}": round(float(v), 1) for q, v in named}})
    return {
        "milliseconds of a tick of 1 and of 32": [round(float(t) * 1e3, 2) for t in tick[[0, -1]]],
        "evaluations of an image, mean": round(float(evaluations.mean()), 2),
        "capacity": round(float(capacity), 1),
        "latency without any cost of serving": rows,
    }
