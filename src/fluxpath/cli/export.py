"""`fluxpath export`: a classifier in, its gradient graph or a whole method out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fluxpath.cli._common import (
    Commands,
    array_in,
    export_with_progress,
    need_export,
    parsed,
    read_names,
    say,
)
from fluxpath.cli._model import torch_model
from fluxpath.errors import InputError
from fluxpath.files import spare_source
from fluxpath.preprocessing import INTERPOLATIONS, Preprocessing
from fluxpath.progress import Progress

if TYPE_CHECKING:
    from fluxpath.export import Exported


UNSAID = argparse.SUPPRESS
"""The default of options that are settings of the export, where their defaults are stated."""


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("export", help="compile a classifier with its input gradient")
    parser.add_argument("model", help="an ONNX classifier MODEL.onnx, or a torch module: torchvision:NAME or "
                        "package.module:FACTORY, a function that gives it or (module, example)")  # fmt: skip
    parser.add_argument("-o", "--output", dest="path", type=Path, required=True,
                        help="the gradient graph to write: .onnx, or of a torch module .pt")  # fmt: skip
    parser.add_argument("--shape", type=int, nargs="+", metavar="SIZE",
                        help="the input's sizes without the batch, as in 3 224 224: of a torch module, or "
                        "where an ONNX model leaves them open")  # fmt: skip
    parser.add_argument(
        "--objective", default=UNSAID, help="softmax (default), log_softmax, logit, margin, sigmoid"
    )
    bounds = parser.add_mutually_exclusive_group()
    bounds.add_argument("--range", dest="input_range", type=float, nargs=2, default=UNSAID,
                        metavar=("LOW", "HIGH"), help="bounds of a valid input (default 0 1)")  # fmt: skip
    bounds.add_argument("--unbounded", dest="input_range", action="store_const", const=None, default=UNSAID,
                        help="the input has no bounds")  # fmt: skip
    parser.add_argument(
        "--mean",
        type=float,
        nargs="+",
        default=UNSAID,
        help="normalisation that the model expects, per channel",
    )
    parser.add_argument("--std", type=float, nargs="+", default=UNSAID, help="see --mean")
    _add_preprocessing(parser)
    parser.add_argument("--classes", dest="class_names", type=Path, default=UNSAID, metavar="FILE",
                        help="class names, one per line")  # fmt: skip
    parser.add_argument("--input", default=UNSAID, metavar="NAME",
                        help="the input to explain, if the model has several")  # fmt: skip
    parser.add_argument("--logits", dest="output", default=UNSAID, metavar="NAME",
                        help="the output to explain, if the model has several")  # fmt: skip
    parser.add_argument("--plain", dest="factored", action="store_false", default=UNSAID,
                        help="write the derivative as one product instead of two factors")  # fmt: skip
    parser.add_argument("--precision", default=UNSAID, help="float32 (default), float16 or bfloat16 inside")
    parser.add_argument("--gradient-dtype", default=UNSAID, metavar="NAME",
                        help="of the output 'gradient', float32 (default) or the precision, which is "
                        "fewer bytes on a GPU")  # fmt: skip
    parser.add_argument(
        "--rules", default=UNSAID, help="gradient (default) or deeplift, which explains a logit"
    )
    parser.add_argument(
        "--baseline", default=UNSAID, metavar="VALUE", help="DeepLIFT's: a number (default 0) or a file .npy"
    )
    parser.add_argument("--method", metavar="NAME", help="write a whole method, loop and all, in place of a "
                        "gradient graph: mfaba-sharp, -smooth, neflag, integrated-gradients")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the method, as in --set max_steps=20; lengths (steps, radii) are "
                        "in units of the width of --range")  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="print what was verified against what, and how far it was apart")  # fmt: skip
    parser.set_defaults(run=run)


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how photos become inputs, which the file keeps").add_argument
    add("--resize", type=int, metavar="PIXELS",
        help="their shorter side after resizing (default: just to cover the input)")  # fmt: skip
    add("--crop", type=int, nargs="+", metavar="PIXELS",
        help="the centre that is kept, height and width or one number: the input's (default)")  # fmt: skip
    add("--interpolation", choices=INTERPOLATIONS, help="of the resizing (default bilinear)")
    add("--pad", action="store_true", default=None,
        help="resize the whole photo into the input and fill the rest with black")  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Export and say what was written."""
    export = need_export()
    spare_source(options.model, options.path)
    with Progress(None, "model", f"opening {options.model}", alike=False):
        model = torch_model(options.model, options.shape)
    settings = _chosen(options)
    if model is not None:
        # The example has it.
        settings = {**model.settings, **settings, "shape": None}

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
        done = export_with_progress(lambda stage: gradient(options.path, progress=stage))
    else:
        method = export.whole_method.chosen_method(options.method, _settings(options.set))
        around = export.whole_method.compile_around
        done = export_with_progress(lambda stage: around(gradient, options.path, method, stage))
    size = done.path.stat().st_size / 2**20
    what = "gradient" if options.method is None else "attribution"
    say(f"wrote {done.path} ({size:.2f} MiB), {what} within {done.verification.error:.1e} of float64")
    for compared, apart in (done.manifest.verified or {}).items() if options.verbose else ():
        say(f"  {apart:.1e}  {compared}")
    for note in done.notes:
        say(f"note: {note}")


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of the export that were given, by the names of their fields."""
    from fluxpath.export.settings import Settings

    names = {field.name for field in fields(Settings)}
    chosen = {name: value for name, value in vars(options).items() if name in names}
    if chosen.get("input_range") is not None:
        chosen["input_range"] = tuple(chosen["input_range"])
    if how := _preprocessing(options):
        chosen["preprocessing"] = how
    if "class_names" in chosen:
        if chosen["class_names"].suffix.lower() == ".json":
            raise InputError(f"--classes '{chosen['class_names']}' is JSON: write one name a line")
        chosen["class_names"] = read_names(chosen["class_names"])
    deeplift = chosen.get("rules") == "deeplift"
    if deeplift and options.method is not None:
        raise InputError("--method writes methods on gradients: leave out --rules deeplift")
    if "baseline" in chosen:
        if not deeplift:
            raise InputError("--baseline belongs to DeepLIFT: add --rules deeplift")
        chosen["baseline"] = _baseline(chosen["baseline"])
    return chosen


def _preprocessing(options: argparse.Namespace) -> Preprocessing | None:
    """How photos become inputs, None if no option says it."""
    given = {field.name: getattr(options, field.name) for field in fields(Preprocessing)}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given.get("crop", ())) == 1:
        given["crop"] = given["crop"][0]
    return Preprocessing(**given) if given else None


def _baseline(given: str) -> Any:
    try:
        value = parsed(given)
        return value if isinstance(value, int | float | np.ndarray) else array_in(given)
    except InputError as error:
        raise InputError(f"--baseline '{given}' is neither a number nor a file .npy ({error})") from error


def _settings(assignments: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise InputError(f"--set {assignment} has no value: write --set {assignment}=VALUE")
        settings[name] = parsed(text)
    return settings
