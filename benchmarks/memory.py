"""Peak memory per slot as `fluxpath info` predicts it, beside what processes with 1, 8 and 32 slots take.

    python -m benchmarks.memory [--networks NAME ...] [--slots N ...] [--tries N] [--folder DIR] [--out JSON]

Each figure is the median of `--tries` new processes. Each opens the gradient graph, notes its resident
memory, forgets its peak so far, gives an explainer of so many slots as many images of noise, and reads its
peak (VmHWM). What it grew by stands beside the prediction, the graph's and the engine's bytes of all slots.
ResNet-20 and EfficientNet-Lite0 are those beside the project, transformers makes the others (random weights);
`--folder` keeps the files for another run.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.export import apart, make_model
from benchmarks.report import DATA, arguments, head, write

GIVEN = {
    "ResNet-20": DATA / "resnet20.onnx",
    "EfficientNet-Lite0": DATA.parent / "imagenet" / "efficientnet_lite0.onnx",
}
MADE: dict[str, tuple[str, dict[str, int]]] = {
    "ResNet-50": ("ResNet", {}),
    "ViT-small": ("ViT", {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}),
}
"""transformers' class and sizes that differ from its defaults."""

MB = 2**20


def compiled(name: str, folder: Path) -> Path:
    """The gradient graph of a network, not verified; made in `folder` unless it is there."""
    path = folder / f"{name}.grad.onnx"
    if not path.exists():
        model = GIVEN.get(name, folder / f"{name}.onnx")
        if not model.exists():
            kind, sizes = MADE[name]
            make_model(kind, model, **sizes)
        _export(model, path)
    return path


def _export(model: Path, path: Path) -> None:
    from fluxpath.export import gradient_graph
    from fluxpath.export.reading import load
    from fluxpath.export.settings import Settings
    from fluxpath.export.verification.judgement import Verification

    unchecked = Verification(error=0.0, typical=0.0, score=0.0)
    settings = Settings()
    source = load.read(model, settings.oldest_opset)
    gradient_graph.compile_gradient(source, path, settings, lambda _: None, lambda *_: unchecked)


def predicted(path: Path, slots: int) -> dict[str, float]:
    """MB that the graph and the engine are predicted to take for so many slots."""
    from fluxpath.artifact import read_manifest
    from fluxpath.export import estimate
    from fluxpath.runtime.profiling import slot_bytes

    cost, engine = estimate(path, slots), slots * slot_bytes(read_manifest(path))
    return {"graph": cost.memory.arena / MB, "live": cost.memory.live / MB, "engine": engine / MB}


def grown(path: Path, slots: int) -> float:
    """MB by which this process's memory grows beyond what it held with the file open."""
    import numpy as np

    from fluxpath.runtime import Explainer, OnnxSession, Saliency

    session = OnnxSession(path)
    shape = tuple(int(d or 0) for d in session.manifest.shape)
    images = np.random.default_rng(0).random((slots, *shape), np.float32)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # what opening took at its peak is not what slots take
    with Explainer.from_session(session, slots=slots) as explainer:
        for _ in range(2):
            explainer.attribute(images, method=Saliency())
    return (_status("VmHWM") - before) / MB


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def measure(name: str, slots: list[int], folder: Path, tries: int) -> list[dict[str, Any]]:
    """One row for each number of slots: the median of so many processes, and what each of them took."""
    path = apart(None, compiled, name, folder)
    rows = [
        {
            "slots": n,
            "predicted_mb": apart(None, predicted, path, n),
            "tries_mb": [apart(None, grown, path, n) for _ in range(tries)],
        }
        for n in slots
    ]
    for row in rows:
        told, row["measured_mb"] = row["predicted_mb"], statistics.median(row["tries_mb"])
        row["predicted_over_measured"] = (told["graph"] + told["engine"]) / row["measured_mb"]
    return rows


def main() -> int:
    """Measure, print, write."""
    parser = arguments("memory", __doc__, cifar=False)
    parser.add_argument("--networks", nargs="+", choices=[*GIVEN, *MADE], default=[*GIVEN, *MADE])
    parser.add_argument("--slots", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--tries", type=int, default=3, help="processes of each figure (3)")
    parser.add_argument("--folder", type=Path, help="where the files stay (default: a temporary one)")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        report = {
            **head("memory"),
            "networks": {n: measure(n, options.slots, folder, options.tries) for n in options.networks},
        }
    for name, rows in report["networks"].items():
        for row in rows:
            told = row["predicted_mb"]
            parts = f"graph {told['graph']:.1f}, engine {told['engine']:.1f}"
            print(
                f"{name:20} {row['slots']:3} slots: measured {row['measured_mb']:7.1f} MB, predicted "
                f"{row['predicted_over_measured']:.2f} of it ({parts})"
            )
    write(report, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
