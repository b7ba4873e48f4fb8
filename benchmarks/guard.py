"""Two commits in turns on six fixed cases: has anything become slower?

    python -m benchmarks.guard BEFORE [AFTER] [--rounds 30] [--threads N] [--model PATH] [--data PATH]

Each commit (AFTER: HEAD) is checked out as a worktree of its own, with its own build of the kernels, which
needs nanobind and g++, and runs in a process of its own, of which one works at a time. Each exports its own
gradient graph of ResNet-20. Prints each case's time after over that before, pair by pair: the median, and the
interval in which it lies with 95%. A case is called slower where the whole interval is above 1; returns 1
then. Run it before a change of the engine, a method, a backend, a kernel or a rule is taken,
where nothing else runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from benchmarks import cifar
from benchmarks.gpu import extension
from benchmarks.report import DATA, ROOT
from fluxpath.bench.machine import BUSY, Neighbours
from fluxpath.bench.workers import SETTLE
from fluxpath.machine import cores
from fluxpath.progress import Progress

CASES: dict[str, tuple[str, str, int]] = {
    "mfaba-sharp, one image": ("MFABA", '{"ascent": "sharp", "step_size": 0.1}', 1),
    "mfaba-sharp, 64 images": ("MFABA", '{"ascent": "sharp", "step_size": 0.1}', 64),
    "mfaba-smooth, one image": ("MFABA", '{"ascent": "smooth", "step_size": 0.001}', 1),
    "neflag-20, one image": ("NeFLAG", '{"n": 20, "radius": 0.1, "max_steps": 20}', 1),
    "integrated-gradients-50, one image": ("IntegratedGradients", '{"steps": 50}', 1),
    "saliency, one image": ("Saliency", "{}", 1),
}
"""Each a method's class, its settings, and how many images it explains in a call."""

ENOUGH = 10
"""Pairs without which there is no verdict."""

FIRST = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]  # an editable install would be found first
import fluxpath
assert fluxpath.__file__.startswith(sys.argv[1]), fluxpath.__file__
"""
"""Makes sure that it is the worktree's fluxpath."""

SIDE = f"""{FIRST}
import json, time
import numpy as np
import fluxpath.runtime as runtime
graph, images, threads = sys.argv[2:]
images = np.load(images)
with runtime.Explainer(graph, threads=int(threads)) as explainer:
    print("ready", flush=True)
    for line in sys.stdin:
        name, settings, first, count = json.loads(line)
        method, given = getattr(runtime, name)(**json.loads(settings)), images[first:first + count]
        explainer.attribute(given, method=runtime.Saliency())
        start = time.perf_counter()
        explainer.attribute(given, method=method)
        print(time.perf_counter() - start, flush=True)
"""
"""What each commit runs: it uses the public interface alone, so that older commits have it."""

EXPORT = f"{FIRST}\nfrom fluxpath.export import gradient_from_onnx\ngradient_from_onnx(*sys.argv[2:])"


class Side:
    """A commit in its own process."""

    def __init__(self, tree: Path, graph: Path, images: Path, threads: int) -> None:
        command = [sys.executable, "-c", SIDE, str(tree), str(graph), str(images), str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(tree, threads)
        )
        self._read()

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def time(self, case: str, first: int) -> float:
        """Seconds of a call."""
        name, settings, count = CASES[case]
        time.sleep(SETTLE)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, settings, first, count]) + "\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a commit's process ended ({self._process.wait()}), see above")
        return line.strip()


def main(given: list[str] | None = None) -> int:
    """Build, time in turns, print; 1 if a case has become slower."""
    options = _options(given)
    if importlib.util.find_spec("nanobind") is None:
        raise SystemExit("the commits' kernels are built with nanobind: pip install nanobind")
    neighbours = Neighbours()
    images = cifar.images_in(options.data)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.save(pixels := folder / "images.npy", images)
        with Progress(2, "commit", "building", alike=False) as progress:
            trees = []
            for commit in (options.before, options.after):
                trees.append(stack.enter_context(checked_out(commit, folder / f"tree{len(trees)}")))
                progress.update()
        graphs = [folder / f"{k}.grad.onnx" for k in range(2)]
        for tree, graph in zip(trees, graphs, strict=True):
            command = [sys.executable, "-c", EXPORT, str(tree), str(options.model), str(graph)]
            subprocess.run(command, check=True, env=environment(tree, options.threads))
        sides = [
            stack.enter_context(Side(tree, graph, pixels, options.threads))
            for tree, graph in zip(trees, graphs, strict=True)
        ]
        with Progress(options.rounds * len(CASES), "pair", "timing", alike=False) as progress:
            pairs = {case: _pairs(sides, case, options.rounds, len(images), progress) for case in CASES}
    return _told(pairs, neighbours.share())


def _options(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", help="a commit, as git names it")
    parser.add_argument("after", nargs="?", default="HEAD", help="another (HEAD)")
    parser.add_argument("--rounds", type=int, default=30, help="pairs of turns of each case (30)")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--model", type=Path, default=DATA / "resnet20.onnx")
    parser.add_argument("--data", type=Path, default=DATA / "images.npz")
    return parser.parse_args(given)


@contextmanager
def checked_out(commit: str, tree: Path) -> Iterator[Path]:
    """A worktree of the commit with its own build of the kernels, which is gone afterwards."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        extension.build(sys.executable, tree / "kernels", tree)
        yield tree
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def environment(tree: Path, threads: int) -> dict[str, str]:
    """In which Python finds that worktree's fluxpath first."""
    path = os.pathsep.join([str(tree / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}


def _pairs(
    sides: Sequence[Side], case: str, rounds: int, images: int, progress: Progress
) -> list[tuple[float, float]]:
    """Seconds of both for the same images; who begins changes."""
    count, found = CASES[case][2], []
    for number in range(rounds):
        first = number * count % max(1, images - count + 1)
        turns = {k: sides[k].time(case, first) for k in ((0, 1) if number % 2 else (1, 0))}
        found.append((turns[0], turns[1]))
        progress.update()
    return found


def ratio(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """After over before: the median, and the ends of its 95% interval, by resampling the pairs."""
    ratios = np.array([after / before for before, after in pairs])
    chosen = np.random.default_rng(0).integers(0, len(ratios), (2000, len(ratios)))
    low, high = np.quantile(np.median(ratios[chosen], axis=1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def _told(pairs: dict[str, list[tuple[float, float]]], others: float | None) -> int:
    slower = 0
    print(f"{'case':36}{'before':>12}{'after':>12}   after / before (95%)")
    for case, times in pairs.items():
        before, after = (1e3 * float(np.median(column)) for column in zip(*times, strict=True))
        median, low, high = ratio(times)
        enough = len(times) >= ENOUGH
        verdict = "" if not enough else "  SLOWER" if low > 1 else "  faster" if high < 1 else ""
        slower += enough and low > 1
        figures = f"{case:36}{before:9.2f} ms{after:9.2f} ms   {median:.3f} ({low:.3f}-{high:.3f})"
        print(figures + verdict)
    if others is not None:
        print(f"Other processes took {others:.1%} of the cores.")
        if others > BUSY:
            print("That is too much for a verdict: run it again where nothing else runs.")
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(main())
