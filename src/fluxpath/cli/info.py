"""`fluxpath info`: shows the manifest of an exported file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fluxpath.artifact import read_manifest
from fluxpath.cli import _cost
from fluxpath.cli._common import Commands, say, show
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.preprocessing import DEFAULT
from fluxpath.progress import Progress


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `info`."""
    parser = commands.add_parser("info", help="show what is in an exported file")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("--cost", action="store_true",
                        help="arithmetic and memory traffic by operator, this machine's rates, and the share "
                        "of the ideal time that evaluations reach (a few seconds)")  # fmt: skip
    parser.add_argument("--profile", action="store_true",
                        help="the ten costliest nodes as ONNX Runtime ran them, which rule wrote each, and "
                        "what bounds it")  # fmt: skip
    parser.add_argument("--batch", type=int, default=8, help="samples that --profile evaluates (default 8)")
    parser.add_argument("--evaluations", type=int, default=1, metavar="N",
                        help="how many gradients an image takes, by which --cost multiplies "
                        "(default 1)")  # fmt: skip
    parser.add_argument("--threads", type=int, help="threads that are measured (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the manifest and, for an ONNX file and if onnx is installed, operators and cost."""
    for name in ("batch", "evaluations", "threads"):
        if (number := getattr(options, name)) is not None and number < 1:
            raise InputError(f"--{name} is {number}, and must be 1 or more")
    manifest = read_manifest(options.graph, whole_method=None)
    measured = options.cost or options.profile
    if measured:
        _cost.check(manifest)
    rows = _rows(options.graph, manifest)
    verified = dict(manifest.verified or {})
    said: dict[str, Any] = {"file": rows, "verified": verified}
    if measured:
        with Progress(None, "model", "measuring evaluations", alike=False):
            if options.cost:
                said["cost"] = _cost.cost_of(options.graph, options.evaluations, options.threads)
            if options.profile:
                said["profile"] = _cost.profile_of(options.graph, options.batch, options.threads)
    if options.json:
        show(json.dumps(said, indent=1))
        return
    for name, value in rows.items():
        say(f"{name:14} {value}")
    for compared, apart in verified.items():
        say(f"{'verified':14} {apart:.1e}  {compared}")
    for line in _cost.cost_lines(said["cost"]) if options.cost else ():
        show(line)
    for line in _cost.profile_lines(said["profile"]) if options.profile else ():
        show(line)


def _rows(path: Path, manifest: Manifest) -> dict[str, str]:
    """What is in the file, by the names under which it is shown."""
    shape = ", ".join("?" if d is None else str(d) for d in manifest.shape)
    bounds = "unbounded" if manifest.low is None else f"in [{manifest.low:g}, {manifest.high:g}]"
    rows = {
        "kind": _kind(manifest),
        "input": f"{manifest.input} float32 [batch, {shape}] {bounds}",
        "normalisation": "none" if manifest.mean is None else f"mean {manifest.mean}, std {manifest.std}",
        "photos": _photos(manifest),
        "objective": manifest.objective,
        "classes": str(manifest.classes),
        "precision": manifest.precision,
        "rules": manifest.rules,
        "gradient": "in two factors (seed, scale)" if manifest.factored else "plain",
        "gradient type": manifest.gradient,
        "error": "unknown" if manifest.error is None else f"{manifest.error:.1e} of float64 at worst",
        "explained": f"the output '{manifest.logits}'",
        "form": "TorchScript" if manifest.opset is None else f"ONNX, opset {manifest.opset}",
        "source": manifest.source,
        "size": f"{path.stat().st_size / 2**20:.2f} MiB",
    }
    if manifest.class_names is not None:
        rows["class names"] = ", ".join(manifest.class_names)
    if manifest.opset is not None:
        with Progress(None, "model", "counting operations", alike=False):
            rows |= _costs(path, manifest)
    return rows


def _kind(manifest: Manifest) -> str:
    """The kind of file: a gradient graph, or a whole method with its settings."""
    if manifest.method is None or manifest.settings is None:
        return "gradient graph"
    settings = ", ".join(f"{name} {value}" for name, value in manifest.settings.items())
    return f"whole method {manifest.method} ({settings})"


def _photos(manifest: Manifest) -> str:
    """How photos become inputs, or that the input is none."""
    how = manifest.preprocessing or DEFAULT
    try:
        how.check(manifest.shape)
    except InputError:
        return "none: the input is no picture"
    return str(how)


def _costs(path: Path, manifest: Manifest) -> dict[str, str]:
    """Operators, estimated cost and memory; empty without onnx, which the runtime does not need."""
    try:
        from fluxpath.export.cost import estimate
    except ImportError:
        return {}
    from fluxpath.runtime.profiling import leaves_open, slot_bytes

    cost = estimate(path)
    about = "at least " if cost.incomplete else ""
    listed = ", ".join(f"{name} {n}" for name, n in cost.operators.most_common())
    rows = {
        "arithmetic": f"{about}{cost.flops / 1e9:.3g} GFLOP per sample and evaluation",
        "activations": f"{about}{cost.memory.live / 2**20:.3g} MiB per sample",
        "operators": f"{cost.operators.total()}: {listed}",
    }
    if manifest.method is None and not leaves_open(manifest):
        graph, engine = cost.memory.arena / 2**20, slot_bytes(manifest) / 2**20
        memory = (
            f"{about}{graph + engine:.3g} MiB for each slot: the graph {graph:.3g}, the engine {engine:.3g}"
        )
        rows["memory"] = f"{memory}; weights {cost.weights / 2**20:.3g} MiB once"
    return rows
