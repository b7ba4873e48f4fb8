"""One network explained by several sides, end to end: images on the host to attributions on the host.

    python -m benchmarks.gpu.timing ResNet-50 --sides "eager float32" "torchscript bfloat16 channels-last"

Every figure is written as it comes. A side that crashes the process is passed over when the same --run
begins anew.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack

import torch

from benchmarks.gpu.errors import survive
from benchmarks.gpu.explainers import Fluxpath
from benchmarks.gpu.models import NAMES, Images, images_of, predicted, subject
from benchmarks.gpu.place import Row, note, noted
from benchmarks.gpu.reference import References
from benchmarks.gpu.setup import Explain, Result, Setup
from benchmarks.gpu.sides import FLAGS, METHODS, MFABAS, NeedsGpuError, Side
from fluxpath.bench.clock import outside_graph

BASES = {"eager": "eager float32", "published": "published float32", "Captum": "captum float32"}
"""What a side's time is divided into, where this machine has it."""


class Run:
    """The settings, the images, and the time that is left."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.end: float = time.monotonic() + options.until
        self.setup = Setup(
            subject(options.model),
            options.device,
            options.max_steps,
            options.slots,
            options.samples,
            options.points,
        )
        self.images = images_of(self.setup.subject, options.images)
        self.targets = predicted(self.setup.subject, self.images, options.device)
        self.references = References(self.setup, self.images, self.targets)
        self.device = torch.cuda.get_device_name() if self.setup.cuda else "cpu"

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def count(self, batch: str, method: str) -> int:
        """Images of a run; of methods with many lanes an image, an eighth."""
        if batch == "one":
            return 1
        return len(self.images) if method in MFABAS else max(1, len(self.images) // 8)


def main(given: list[str] | None = None) -> int:
    """Time every side."""
    options = _options(given)
    run = Run(options)
    begun = {row["side"] for row in noted("begun") if row["run"] == options.run} if options.run else set()
    for side in map(Side.parse, options.sides):
        if side.name in begun:
            print(f"  passed over: {side.name}, with which the process ended before", flush=True)
        elif run.left() < 3:
            print(f"  no time for {side.name}", flush=True)
        else:
            note("begun", {"run": options.run, "side": side.name})
            _side(run, side)
    return 0


def _options(given: list[str] | None) -> argparse.Namespace:
    flags = "\n".join(f"  {name}: {what}" for name, what in FLAGS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nA side's flags:\n{flags}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("--sides", nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=128, help="of a run of many (128)")
    parser.add_argument("--slots", type=int, default=64, help="that walk at a time, on every side (64)")
    parser.add_argument("--max-steps", type=int, default=20, help="of a walk (20)")
    parser.add_argument("--samples", type=int, default=20, help="of NeFLAG (20)")
    parser.add_argument("--points", type=int, default=50, help="steps of Integrated Gradients (50)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each figure's timed runs (1)")
    parser.add_argument("--until", type=float, default=3600, help="seconds after which nothing is begun")
    parser.add_argument("--run", default="", help="a name of this run and of its further tries")
    return parser.parse_args(given)


def _side(run: Run, side: Side) -> None:
    start = time.perf_counter()
    try:
        with ExitStack() as stack:
            side.prepare()
            explain = side.open(run.setup, stack, max(0.0, min(60.0, run.left() - 5)))
            for method in filter(side.explains, run.options.methods):
                for batch in ("many", "one"):
                    if run.left() < 2:
                        print(f"  no time for {side.name}, {method}, {batch}", flush=True)
                        continue
                    _report(_row(run, side, explain, batch, method))
    except NeedsGpuError as error:
        print(f"  skipped: {error}", flush=True)
    except Exception as error:  # one side that fails must not cost the others'
        reason = survive(side.name, error)
        note("timing", {"model": run.setup.subject.name, "side": side.name, "error": reason})
    finally:
        if run.setup.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    print(
        f"    [{side.name}: {time.perf_counter() - start:.1f} s in all, {run.left():.0f} s left]", flush=True
    )


def _row(run: Run, side: Side, explain: Explain, batch: str, method: str) -> Row:
    count, setup = run.count(batch, method), run.setup
    images = _pinned(run.images) if "pinned" in side.flags else run.images
    times, result = _timed(run, explain, images, count, method)
    share = captured = None
    if isinstance(explain, Fluxpath):
        captured = explain.captured()
        if not side.flags - {"channels-last"} and method == MFABAS[0] and run.left() > 8:
            one, chosen = images[:count], run.targets[:count]
            share = outside_graph(
                explain.explainer, lambda: explain(one, chosen, method), 8 if setup.cuda else 1
            )
    firsts = result if count > 1 else explain(images[:1], run.targets[:1], method)
    side.prepare()  # as before the reference may have computed in float64
    return {
        "model": setup.subject.name,
        "device": run.device,
        "side": side.name,
        "method": method,
        "batch": batch,
        "images": count,
        "seconds": times,
        "steps": None if result[1] is None else float(result[1].mean()),
        "outside_graph": share,
        "captured": captured,
        "agreement": _agreement(run, method, firsts),
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if setup.cuda else None,
        "settings": [setup.slots, setup.max_steps, setup.samples, setup.points],
    }


def _timed(run: Run, explain: Explain, images: Images, count: int, method: str) -> tuple[list[float], Result]:
    """Seconds of each run, until the result is on the host; a run of one is another image each time."""
    most = min(run.options.seconds, max(0.3, run.left() / 2))
    warm, enough = (6, 60) if count == 1 else (_settled(run, explain, images, count, method), 7)
    times: list[float] = []
    started = time.perf_counter()
    for turn in range(warm + enough):
        first = turn % len(images) if count == 1 else 0
        start = time.perf_counter()
        result = explain(images[first : first + count], run.targets[first : first + count], method)
        took = time.perf_counter() - start
        if turn >= warm or time.perf_counter() - started > 4 * most:
            times.append(took)
        if sum(times) > most:
            break
    return times, result


def _settled(run: Run, explain: Explain, images: Images, count: int, method: str) -> int:
    """Run until no further batch size is captured, which takes seconds; return what is left of warm runs."""
    before, end = -1, time.perf_counter() + 8 * run.options.seconds
    while isinstance(explain, Fluxpath) and explain.sizes() != before and time.perf_counter() < end:
        before = explain.sizes()
        for _ in range(4):  # a size that recurs is captured at its fourth run
            explain(images[:count], run.targets[:count], method)
    return 0 if isinstance(explain, Fluxpath) else 2


def _agreement(run: Run, method: str, result: Result) -> Row | None:
    """Beside float64; None where that fails, which must not cost the times."""
    try:
        return run.references.agreement(method, result)
    except Exception as error:  # float64 may not fit
        survive(f"float64's {method}", error)
        return None


def _pinned(images: Images) -> Images:
    """A copy in page-locked memory; pageable memory is what numpy gives."""
    copied: Images = torch.from_numpy(images).pin_memory().numpy()
    return copied


def _report(row: Row) -> None:
    """Write the row with its ratios, and print it."""
    median = statistics.median(row["seconds"])
    row["ratios"] = {name: base / median for name, side in BASES.items() if (base := _base(row, side))}
    note("timing", row)
    apart = row["agreement"]
    words = [
        f"  {row['side']:38}{row['method']:21}{row['images']:4} img {1e3 * median:10.2f} ms",
        f"{row['images'] / median:9.1f} img/s",
        *(f"{ratio:6.2f}x {name}" for name, ratio in row["ratios"].items()),
    ]
    if apart is not None:
        words.append(f" off {apart['distance']:.1e} rank {apart['rank_correlation']:.4f}")
        if apart["equal_steps"] is not None:
            words.append(f"steps {apart['equal_steps']:.0%}")
    if row["outside_graph"] is not None:
        words.append(f"outside {row['outside_graph']:.0%}")
    if row["captured"] is False and "plain" not in row["side"]:
        words.append("NOT CAPTURED")
    print(" ".join(words), flush=True)


def _base(row: Row, side: str) -> float | None:
    """The latest median of that side for the same work on the same device."""
    if side == row["side"]:
        return float(statistics.median(row["seconds"]))
    same = ("model", "device", "method", "images", "settings")
    found: list[list[float]] = [
        other["seconds"]
        for other in noted("timing")
        if other.get("seconds") and other["side"] == side and all(other[k] == row[k] for k in same)
    ]
    return statistics.median(found[-1]) if found else None


if __name__ == "__main__":
    raise SystemExit(main())
