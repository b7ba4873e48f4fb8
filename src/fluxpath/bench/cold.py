"""A cold start: a new process, its first attribution, and where the time went.

python -m fluxpath.bench.cold SPEC is that process; SPEC is a pickle that `cold_start` wrote.
"""

from __future__ import annotations

import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxpath import archive
from fluxpath.errors import FluxpathError

if TYPE_CHECKING:
    from fluxpath.bench.work import Setup, Work

PARTS = ("import", "load", "first evaluation", "rest")


def cold_start(setup: Setup, work: Work, tries: int) -> dict[str, Any]:
    """Medians of so many new processes: seconds in all and of each part, and the peak of memory in bytes.

    A median of the total need not be the sum of the parts' medians. FluxpathError where such a process fails.
    """
    found = [_tried(setup, work) for _ in range(tries)]
    medians: dict[str, Any] = {
        name: statistics.median(one[name] for one in found) for name in ("total", *PARTS)
    }
    peaks = [one["peak_bytes"] for one in found]
    return {**medians, "peak_bytes": None if None in peaks else int(statistics.median(peaks))}


def _tried(setup: Setup, work: Work) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec"
        spec.write_bytes(pickle.dumps((setup, work)))
        environment = {**os.environ, "OMP_NUM_THREADS": str(setup.threads)}
        command = [sys.executable, "-m", "fluxpath.bench.cold", str(spec)]
        start = time.perf_counter()
        said = Path(folder) / "stderr"
        with (
            said.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as child,
        ):
            assert child.stdout is not None
            line = child.stdout.readline()
            total = time.perf_counter() - start
        if not line:
            complaint = said.read_text(errors="replace").strip().splitlines()
            why = complaint[-1] if complaint else f"its process ended ({child.returncode})"
            raise FluxpathError(f"a cold start fails: {why}")
    found: dict[str, Any] = json.loads(line)
    found["total"] = total - found.pop("own")
    found["rest"] = found["total"] - sum(found[name] for name in PARTS[:-1])
    return found


def main(spec: Path) -> None:
    """Explain once, and print a line of JSON as soon as the attribution is there."""
    start = time.perf_counter()
    import fluxpath.runtime

    imported = time.perf_counter() - start
    # What only the benchmark needs does not count.
    start = time.perf_counter()
    from fluxpath.bench.clock import Clocked
    from fluxpath.bench.graph_sides import fillers
    from fluxpath.bench.machine import peak_memory

    setup, work = pickle.loads(spec.read_bytes())
    images = setup.pixels()[work.first : work.last].copy()
    inputs = fillers(setup, images)
    own = time.perf_counter() - start
    start = time.perf_counter()
    _import_backend(setup.graph.suffix)
    imported += time.perf_counter() - start
    start = time.perf_counter()
    explainer = fluxpath.runtime.Explainer(
        setup.graph,
        device=setup.device,
        slots=work.slots,
        threads=setup.threads,
        shape=images.shape[1:],
        trust=setup.trust,
    )
    loaded = time.perf_counter() - start
    with explainer:
        with Clocked(explainer) as clocked:
            explainer.attribute(images, setup.targets[work.first : work.last], work.method, inputs=inputs)
        parts = dict(zip(PARTS, (imported, loaded, clocked.seconds[0]), strict=False))
        print(json.dumps({**parts, "own": own, "peak_bytes": peak_memory()}), flush=True)


def _import_backend(suffix: str) -> None:
    """What opening the file would import otherwise, and is not loading it."""
    if suffix == archive.SUFFIX:
        import torch  # noqa: F401
    else:
        from fluxpath.runtime.backends.onnx import require_providers

        require_providers(())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
