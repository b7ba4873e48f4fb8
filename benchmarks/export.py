"""How long an export takes stage by stage, and its peak memory, for a ResNet-50 and a ViT-B at 224 pixels.

    python -m benchmarks.export [--models NAME ...] [--repeats N] [--verify SECONDS] [--out JSON]

transformers makes the models (default sizes, 1000 classes, random weights: as much work as trained ones),
torch writes them as ONNX, which is not timed. Each of `--repeats` exports runs in a new process and ends with
the sealed file on disk, not verified. Beside the time that passed stands the processor time, which other
processes on the machine stretch less. Verification differentiates numerically in float64 on the standard's
reference evaluator and takes far longer than all else; `--verify` times it in one more process, ended after
so many seconds (0: never started).
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, head, write
from fluxpath.bench.machine import Neighbours
from fluxpath.bench.timing import summary

MODELS = {"resnet50": "ResNet", "vit-b": "ViT"}
STAGES = {
    "read": ("load", "read"),
    "prepare": ("gradient_graph", "_prepared"),
    "differentiate": ("gradient_graph", "append_gradient"),
    "finish": ("gradient_graph", "_finished"),
    "write": ("gradient_graph", "write"),
}
"""A stage and the function of fluxpath.export that is it."""


def make_model(kind: str, path: Path, **sizes: int) -> None:
    """Write the model at `path`, as anyone would who has it in torch; `sizes` are of transformers' config."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(num_labels=1000, **sizes)
    model = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    dynamic = {"pixel_values": {0: torch.export.Dim("batch")}}
    example = (torch.rand(2, 3, 224, 224),)
    # In the file itself, so that its size is what is read.
    torch.onnx.export(
        model, example, path, dynamo=True, dynamic_shapes=dynamic, external_data=False, verbose=False
    )


def export(model: Path, folder: Path) -> dict[str, Any]:
    """Seconds and processor seconds of every stage and of the whole; this process's peaks in MB."""
    from fluxpath.export import gradient_graph
    from fluxpath.export.reading import load
    from fluxpath.export.settings import Settings
    from fluxpath.export.verification import Verification

    clocks = {stage: [0.0, 0.0] for stage in STAGES}
    modules = {"load": load, "gradient_graph": gradient_graph}
    for stage, (module, name) in STAGES.items():
        setattr(modules[module], name, _clocked(getattr(modules[module], name), clocks[stage]))
    before = _peak_mb()
    unchecked = Verification(error=0.0, typical=0.0, score=0.0)
    settings = Settings()
    path = folder / "gradient.onnx"
    clocks["total"] = [0.0, 0.0]

    def whole() -> None:
        source = load.read(model, settings.oldest_opset)
        gradient_graph.compile_gradient(source, path, settings, lambda _: None, lambda *_: unchecked)

    _clocked(whole, clocks["total"])()
    return {
        "seconds": {stage: passed for stage, (passed, _) in clocks.items()},
        "processor_seconds": {stage: worked for stage, (_, worked) in clocks.items()},
        "peak_mb": {"imports": before, "export": _peak_mb()},
        "file_mb": {"model": _size_mb(model), "gradient_graph": _size_mb(path)},
    }


def _clocked(function: Callable[..., Any], clock: list[float]) -> Callable[..., Any]:
    """The function, adding the time that passes and the processor time of every call to `clock`."""

    def call(*arguments: Any) -> Any:
        passed, worked = time.perf_counter(), time.process_time()
        result = function(*arguments)
        clock[0] += time.perf_counter() - passed
        clock[1] += time.process_time() - worked
        return result

    return call


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _size_mb(path: Path) -> float:
    return path.stat().st_size / 2**20


def verification(path: Path) -> dict[str, Any]:
    """Seconds of verifying the written file, its error, and the peak memory."""
    from fluxpath.export import verify

    start = time.perf_counter()
    error = verify(path).error
    return {"seconds": time.perf_counter() - start, "error": error, "peak_mb": _peak_mb()}


def apart(limit: float | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a new process; TimeoutError, and the process ended, after `limit` seconds.

    Nothing large is imported here, for a child's peak memory begins with its parent's.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(function, arguments).get(limit)
        except multiprocessing.TimeoutError as error:
            raise TimeoutError from error


def measure(name: str, repeats: int, limit: float) -> dict[str, Any]:
    """All figures of one model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = folder / f"{name}.onnx"
        apart(None, make_model, MODELS[name], model)
        runs = [apart(None, export, model, folder) for _ in range(repeats)]
        result: dict[str, Any] = {
            **{
                kind: {part: summary([run[kind][part] for run in runs]) for part in runs[0][kind]}
                for kind in ("seconds", "processor_seconds", "peak_mb")
            },
            "file_mb": runs[0]["file_mb"],
        }
        if limit:
            try:
                result["verification"] = apart(limit, verification, folder / "gradient.onnx")
            except TimeoutError:
                result["verification"] = {"seconds": None, "ended_after": limit}
    return result


def main() -> int:
    """Measure, print, write."""
    parser = arguments("export", __doc__, cifar=False)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--verify", type=float, default=600, metavar="SECONDS", help="0 leaves it out")
    options = parser.parse_args()
    neighbours = Neighbours()
    report: dict[str, Any] = {
        **head("export"),
        "repeats": options.repeats,
        "models": {name: measure(name, options.repeats, options.verify) for name in options.models},
    }
    report["environment"]["share_of_cores_others_took"] = neighbours.share()
    print(json.dumps(report, indent=1))
    write(report, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
