"""`fluxpath export`: a classifier in, its gradient graph or a whole method out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fluxpath.cli._common import Commands, export_with_progress, need_export, parsed, read_names
from fluxpath.cli._model import torch_model
from fluxpath.errors import InputError

if TYPE_CHECKING:
    from fluxpath.export import Exported


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("export", help="compile a classifier with its input gradient")
    parser.add_argument("model", help="an ONNX classifier MODEL.onnx, or a torch module: torchvision:NAME or "
                        "package.module:FACTORY, a function that gives it or (module, example)")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True,
                        help="the gradient graph to write: .onnx, or of a torch module .pt")  # fmt: skip
    parser.add_argument("--shape", type=int, nargs="+", metavar="SIZE",
                        help="a torch module's input without the batch, as in 3 224 224")  # fmt: skip
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
    parser.add_argument(
        "--precision", default="float32", help="float32 (default), float16 or bfloat16 inside"
    )
    parser.add_argument("--gradient-dtype", default="float32", metavar="NAME",
                        help="of the output 'gradient', float32 (default) or the precision, which is "
                        "fewer bytes on a GPU")  # fmt: skip
    parser.add_argument(
        "--rules", default="gradient", help="gradient (default) or deeplift, which explains a logit"
    )
    parser.add_argument("--baseline", metavar="VALUE", help="DeepLIFT's: a number (default 0) or a file .npy")
    parser.add_argument("--method", metavar="NAME", help="write a whole method, loop and all, in place of a "
                        "gradient graph: mfaba-sharp, -smooth, neflag, integrated-gradients")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the method, as in --set max_steps=20")  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export and say what was written."""
    export = need_export()
    model = torch_model(options.model, options.shape)
    settings = {
        "objective": options.objective,
        "output": options.logits,
        "input_range": None if options.unbounded else tuple(options.range),
        "factored": not options.plain,
        "precision": options.precision,
        "gradient_dtype": options.gradient_dtype,
        "rules": options.rules,
        "baseline": _baseline(options),
    }
    given = {"mean": options.mean, "std": options.std, "class_names": read_names(options.classes)}
    settings |= {} if model is None else model.settings
    if model is None:
        from fluxpath.files import spare_source

        spare_source(options.model, options.output)
    settings |= {name: value for name, value in given.items() if value is not None}

    def gradient(path: Path, **progress: Callable[[str], None]) -> Exported:
        done: Exported
        if model is None:
            done = export.gradient_from_onnx(options.model, path, **settings, **progress)
        else:
            done = export.gradient_from_torch(model.module, model.example, path, **settings, **progress)
        return done

    if options.method is None:
        if options.set:
            raise InputError(f"--set {options.set[0]} is a method's setting: name the method with --method")
        done = export_with_progress(lambda stage: gradient(options.output, progress=stage))
    else:
        method = export.whole_method.chosen_method(options.method, _settings(options.set))
        around = export.whole_method.compile_around
        done = export_with_progress(lambda stage: around(gradient, options.output, method, stage))
    size = done.path.stat().st_size / 2**20
    what = "gradient" if options.method is None else "attribution"
    print(f"wrote {done.path} ({size:.2f} MiB), {what} within {done.verification.error:.1e} of float64")
    for note in done.notes:
        print(f"note: {note}")


def _baseline(options: argparse.Namespace) -> Any:
    if options.rules == "deeplift" and options.method is not None:
        raise InputError("--method writes methods on gradients: leave out --rules deeplift")
    if options.baseline is None:
        return 0.0
    if options.rules != "deeplift":
        raise InputError("--baseline belongs to DeepLIFT: add --rules deeplift")
    value = parsed(options.baseline)
    if isinstance(value, int | float):
        return value
    try:
        return np.load(options.baseline, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--baseline '{options.baseline}' is neither a number nor a file .npy") from error


def _settings(assignments: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise InputError(f"--set {assignment} has no value: write --set {assignment}=VALUE")
        settings[name] = parsed(text)
    return settings
