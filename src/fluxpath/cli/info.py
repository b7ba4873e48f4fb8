"""`fluxpath info`: shows the manifest of an exported file."""

from __future__ import annotations

import argparse
from pathlib import Path

from fluxpath.artifact import read_manifest
from fluxpath.cli._common import Commands, say
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.preprocessing import DEFAULT
from fluxpath.progress import Progress


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `info`."""
    parser = commands.add_parser("info", help="show what is in an exported file")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the manifest and, for an ONNX file and if onnx is installed, operators and cost."""
    manifest = read_manifest(options.graph, whole_method=None)
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
        "explained": manifest.logits,
        "form": "TorchScript" if manifest.opset is None else f"ONNX, opset {manifest.opset}",
        "source": manifest.source,
        "size": f"{options.graph.stat().st_size / 2**20:.2f} MiB",
    }
    if manifest.class_names is not None:
        rows["class names"] = ", ".join(manifest.class_names)
    if manifest.opset is not None:
        with Progress(None, "model", "counting operations", alike=False):
            rows |= _costs(options.graph)
    for name, value in rows.items():
        say(f"{name:14} {value}")
    for compared, apart in (manifest.verified or {}).items():
        say(f"{'verified':14} {apart:.1e}  {compared}")


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


def _costs(path: Path) -> dict[str, str]:
    """Operators and estimated cost; empty without onnx, which the runtime does not need."""
    try:
        from fluxpath.export.cost import estimate
    except ImportError:
        return {}
    cost = estimate(path)
    about = "at least " if cost.incomplete else ""
    listed = ", ".join(f"{name} {n}" for name, n in cost.operators.most_common())
    return {
        "arithmetic": f"{about}{cost.flops / 1e9:.3g} GFLOP per sample and evaluation",
        "activations": f"{about}{cost.activation_bytes / 2**20:.3g} MiB per sample",
        "operators": f"{cost.operators.total()}: {listed}",
    }
