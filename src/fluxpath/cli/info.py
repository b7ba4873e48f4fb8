"""`fluxpath info`: what a gradient graph says of itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from fluxpath.artifact import read_manifest
from fluxpath.cli._common import Commands
from fluxpath.manifest import Manifest


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("info", help="show what an exported file says of itself")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the manifest, and of an ONNX file the operators where onnx is installed."""
    manifest = read_manifest(options.graph, whole_method=None)
    shape = ", ".join("?" if d is None else str(d) for d in manifest.shape)
    bounds = "unbounded" if manifest.low is None else f"in [{manifest.low:g}, {manifest.high:g}]"
    rows = {
        "kind": _kind(manifest),
        "input": f"{manifest.input} float32 [batch, {shape}] {bounds}",
        "normalisation": "none" if manifest.mean is None else f"mean {manifest.mean}, std {manifest.std}",
        "objective": manifest.objective,
        "classes": str(manifest.classes),
        "precision": manifest.precision,
        "rules": manifest.rules,
        "gradient": "in two factors (seed, scale)" if manifest.factored else "plain",
        "gradient type": manifest.gradient,
        "error": "unknown" if manifest.error is None else f"{manifest.error:.1e} of float64 at worst",
        "form": "TorchScript" if manifest.opset is None else f"ONNX, opset {manifest.opset}",
        "source": manifest.source,
        "size": f"{options.graph.stat().st_size / 2**20:.2f} MiB",
    }
    if manifest.class_names is not None:
        rows["class names"] = ", ".join(manifest.class_names)
    if manifest.opset is not None:
        rows |= _costs(options.graph)
    for name, value in rows.items():
        print(f"{name:14} {value}")


def _kind(manifest: Manifest) -> str:
    """A gradient graph, or the method that the file is the whole of."""
    if manifest.method is None or manifest.settings is None:
        return "gradient graph"
    settings = ", ".join(f"{name} {value}" for name, value in manifest.settings.items())
    return f"whole method {manifest.method} ({settings})"


def _costs(path: Path) -> dict[str, str]:
    """Operators and estimated cost; nothing without onnx, which the runtime does not need."""
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
