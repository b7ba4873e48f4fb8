"""Many callers at once, who cancel, come late, pass nonsense and close: is any request lost, hung or wrong?

    python -m benchmarks.load [REQUESTS] [--callers N] [--seed N]

Every caller sends one request after the other: a random method of all, one to three images for the model of
handwritten digits, as `attribute` or `submit`. Some are cancelled, have a deadline that is too short, hold
NaN, or close the explainer for everybody, which is then opened again. A result is compared with that of each
image alone: equal to the bit, or within what ONNX Runtime's kernels round differently at another batch size;
the largest such distance is told. The callers are threads of a process of their own, so that one that aborts
is counted too.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError, Future
from importlib.resources import files
from pathlib import Path

import numpy as np

from fluxpath.errors import ClosedError, DeadlineError, InputError
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    Attribution,
    DeepLIFT,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)

IMAGES = 12
DOINGS = {"attribute": 40, "submit": 40, "cancel": 8, "late": 6, "bad": 6, "close": 0.02}
"""How often each is done, relative to the others."""
PATIENCE = 60.0
"""Seconds after which a request counts as hung."""
ROUNDING = 1e-4
"""The distance (relative, in L2) up to which a result counts as rounded."""
EXPECTED = ("cancelled", "late", "refused", "closed")


def methods(images: np.ndarray) -> list[Method]:
    """One of each."""
    few = images[:3]
    return [
        MFABA("sharp", step_size=0.02, max_steps=8),
        MFABA("smooth", step_size=0.02, max_steps=8),
        NeFLAG(n=3, max_steps=4),
        Saliency(),
        InputXGradient(),
        IntegratedGradients(steps=6),
        SmoothGrad(n=4, variant="variance"),
        ExpectedGradients(few, n=5),
        LPI(few, densities=[1.0, 2.0, 1.0], steps=2),
        GuidedIG(steps=8),
        AGI(classes=2, max_steps=4),
        BIG(max_steps=5, bisections=2, integration_steps=3),
        DeepLIFT(),
    ]


class Station:
    """The explainer of the day: callers use it until one of them closes it."""

    def __init__(self, graph: Path) -> None:
        self._graph, self._lock = graph, threading.Lock()
        self.explainer = self._open()

    def _open(self) -> Explainer:
        return Explainer(self._graph, threads=1, slots=16)

    def close(self) -> None:
        """Close it for everybody, and open another."""
        with self._lock:
            self.explainer.close()
            self.explainer = self._open()


class Load:
    """The callers, and what became of their requests."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.images = np.random.default_rng(seed).random((IMAGES, 1, 8, 8), np.float32)
        self.methods, self.seed = methods(self.images), seed
        plain, deeplift = Station(folder / "gradient.onnx"), Station(folder / "deeplift.onnx")
        self.stations = [deeplift if isinstance(m, DeepLIFT) else plain for m in self.methods]
        self.alone = [
            [station.explainer.attribute(image, method=method) for image in self.images]
            for station, method in zip(self.stations, self.methods, strict=True)
        ]
        self.counts: Counter[str] = Counter()
        self.farthest = 0.0
        self._lock = threading.Lock()

    def run(self, requests: int, callers: int) -> Counter[str]:
        """Send so many requests; what became of each."""
        shares = [requests // callers + (k < requests % callers) for k in range(callers)]
        threads = [threading.Thread(target=self._call, args=(k, n)) for k, n in enumerate(shares)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for station in set(self.stations):
            station.explainer.close()
        self.counts["lost"] = requests - sum(self.counts.values())
        return self.counts

    def _call(self, caller: int, requests: int) -> None:
        rng, counts = random.Random(f"{self.seed} {caller}"), Counter[str]()
        for _ in range(requests):
            counts[self._request(rng)] += 1
        with self._lock:
            self.counts += counts

    def _request(self, rng: random.Random) -> str:
        which = rng.randrange(len(self.methods))
        rows = [rng.randrange(IMAGES) for _ in range(rng.randint(1, 3))]
        (doing,) = rng.choices([*DOINGS], [*DOINGS.values()])
        images, explainer = self.images[rows], self.stations[which].explainer
        if doing == "bad":
            images[-1, 0, 3, 3] = np.nan
        deadline = rng.choice([1e-6, 1e-3]) if doing == "late" else None
        try:
            if doing == "attribute":
                return self._judged(explainer.attribute(images, method=self.methods[which]), which, rows)
            future = explainer.submit(images, method=self.methods[which], deadline=deadline)
            if doing == "cancel":
                time.sleep(rng.random() * 3e-3)
                future.cancel()
            if doing == "close":
                self.stations[which].close()
            return self._judged(self._result(future), which, rows)
        except CancelledError:
            return "cancelled" if doing == "cancel" else "wrongly cancelled"
        except DeadlineError:
            return "late" if doing == "late" else "wrongly late"
        except InputError:
            return "refused" if doing == "bad" else "wrongly refused"
        except ClosedError:
            return "closed"
        except TimeoutError:
            return "hung"
        except Exception as error:
            return f"failed: {type(error).__name__}: {error}"

    def _result(self, future: Future[Attribution]) -> Attribution:
        return future.result(PATIENCE)

    def _judged(self, result: Attribution, which: int, rows: list[int]) -> str:
        worst = "equal"
        for k, row in enumerate(rows):
            alone = self.alone[which][row]
            if np.array_equal(result.values[k], alone.values[0]) and result.steps[k] == alone.steps[0]:
                continue
            distance = np.linalg.norm(result.values[k] - alone.values[0]) / np.linalg.norm(alone.values[0])
            if not distance <= ROUNDING or result.target[k] != alone.target[0]:
                return "wrong"
            self.farthest = max(self.farthest, float(distance))
            worst = "rounded"
        return worst


def _in_its_own_process(folder: Path, requests: int, callers: int, seed: int) -> None:
    faulthandler.enable()
    load = Load(folder, seed)
    counts = load.run(requests, callers)
    (folder / "counts.json").write_text(json.dumps(counts | {"farthest": load.farthest}))


def main() -> int:
    """Write the graphs, run, print; 1 if any request had another end than it should."""
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("requests", nargs="?", type=int, default=100_000)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), str(files("fluxpath.demo") / "digits.onnx")
        gradient_from_onnx(model, folder / "gradient.onnx")
        gradient_from_onnx(model, folder / "deeplift.onnx", rules="deeplift", objective="logit")
        context, start = multiprocessing.get_context("spawn"), time.perf_counter()
        given = (folder, options.requests, options.callers, options.seed)
        process = context.Process(target=_in_its_own_process, args=given)
        process.start()
        process.join()
        written = folder / "counts.json"
        counts = json.loads(written.read_text()) if written.exists() else {"aborted": options.requests}
    counts |= {"exit": process.exitcode, "seconds": round(time.perf_counter() - start)}
    print(json.dumps(counts, indent=1))
    good = sum(counts.get(kind, 0) for kind in ("equal", "rounded", *EXPECTED))
    return 0 if process.exitcode == 0 and good == options.requests else 1


if __name__ == "__main__":
    sys.exit(main())
