"""`fluxpath export`: an ONNX classifier in, its gradient graph out."""

from __future__ import annotations

import argparse
from pathlib import Path

from fluxpath.cli._common import Commands, export_with_progress, need_export, read_names


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("export", help="compile a classifier with its input gradient")
    parser.add_argument("model", type=Path, help="an ONNX classifier")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the gradient graph to write")
    parser.add_argument(
        "--objective", default="softmax", help="softmax (default), log_softmax, logit, margin, sigmoid"
    )
    parser.add_argument("--range", type=float, nargs=2, default=(0.0, 1.0), metavar=("LOW", "HIGH"),
                        help="bounds of a valid input (default 0 1)")  # fmt: skip
    parser.add_argument("--unbounded", action="store_true", help="the input has no bounds")
    parser.add_argument(
        "--mean", type=float, nargs="+", help="normalisation that the model expects, a channel each"
    )
    parser.add_argument("--std", type=float, nargs="+", help="see --mean")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line")
    parser.add_argument("--logits", metavar="NAME", help="the output to explain, if the model has several")
    parser.add_argument("--plain", action="store_true",
                        help="write the derivative as one product instead of two factors")  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export and say what was written."""
    export = need_export()
    names = read_names(options.classes)
    done = export_with_progress(
        lambda stage: export.gradient_from_onnx(
            options.model,
            options.output,
            objective=options.objective,
            output=options.logits,
            input_range=None if options.unbounded else tuple(options.range),
            mean=options.mean,
            std=options.std,
            class_names=names,
            factored=not options.plain,
            progress=stage,
        )
    )
    size = done.path.stat().st_size / 2**20
    print(f"wrote {done.path} ({size:.2f} MiB), gradient within {done.verification.error:.1e} of float64")
