"""`fluxpath compare`: one sheet of photos by methods."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxpath.checks import need
from fluxpath.cli._common import Commands, add_trust, method_from, named_path, say
from fluxpath.cli._drawing import add_drawing, drawing_from
from fluxpath.errors import InputError
from fluxpath.progress import Progress
from fluxpath.text import counted

if TYPE_CHECKING:
    from PIL import Image

    from fluxpath.runtime import Attribution, Explainer, Method
    from fluxpath.runtime.pictures import Drawing

METHODS = "mfaba-sharp,neflag,integrated-gradients"
# A taller sheet is looked at by nobody, and takes gigabytes.
MOST_PHOTOS = 50
CELL = 224


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `compare`."""
    parser = commands.add_parser("compare", help="draw photos by methods on one sheet")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("images", type=Path, nargs="+",
                        help=f"photos, or folders of them, at most {MOST_PHOTOS}")  # fmt: skip
    parser.add_argument("--methods", default=METHODS, metavar="NAMES",
                        help=f"the columns, as in explain's --method (default {METHODS})")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="METHOD.NAME=VALUE",
                        help="a setting of one of the methods, as in neflag.n=20")  # fmt: skip
    parser.add_argument("--target", metavar="CLASS",
                        help="the class to explain, by name or number (default: the predicted "
                        "one)")  # fmt: skip
    parser.add_argument("--out", type=named_path, default=Path("sheet.png"), metavar="FILE",
                        help="the PNG file to write (default sheet.png)")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 or auto")
    add_trust(parser)
    add_drawing(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain every photo by every method and write the sheet."""
    from fluxpath.runtime import Explainer
    from fluxpath.runtime.bulk.sources import listed
    from fluxpath.runtime.pictures import contact_sheet, save_png

    drawing = drawing_from(options)
    _need_own(options.out)
    files = list(dict.fromkeys(listed(options.images)))
    need(len(files) <= MOST_PHOTOS, f"a sheet has room for {MOST_PHOTOS} photos, and these are {len(files)}")
    with Progress(None, "model", f"opening {options.graph}", alike=False):
        explainer = Explainer(options.graph, device=options.device, trust=options.trust)
    rows, captions = [], []
    with explainer, Progress(len(files), "photo", "explaining") as progress:
        methods = _methods(options, explainer)
        target, chosen = options.target, list(methods.values())
        for file in files:
            pictures, texts = _row(explainer, file, target, chosen, drawing)
            rows.append(pictures)
            captions.append(texts)
            progress.update()
    names = [file.stem for file in files]
    # A column is as wide as its longest line.
    headers = ["photo", *(name.replace("-", "-\n") for name in methods)]
    cell = drawing.size or CELL
    save_png(contact_sheet(rows, headers, names, cell=cell, captions=captions), options.out)
    say(f"{options.out}: {counted(len(files), 'photo')} by {', '.join(methods)}")


def _row(
    explainer: Explainer, file: Path, target: Any, methods: list[Method], drawing: Drawing
) -> tuple[list[Image.Image], list[str]]:
    """The photo and its overlays, and what stands below each; the methods share evaluations."""
    from fluxpath.runtime.attribution.subject import unit
    from fluxpath.runtime.attribution.words import caption
    from fluxpath.runtime.pictures import picture

    image, manifest = explainer.prepare(file), explainer.manifest
    futures = [explainer.submit(image, target, method) for method in methods]
    results = [future.result() for future in futures]
    photo = picture(unit(image[0], manifest.low, manifest.high), drawing.size)
    overlays = [result.overlay(0, drawing) for result in results]
    return [photo, *overlays], [caption(results[0]), *map(_ended, results)]


def _ended(result: Attribution) -> str:
    from fluxpath.runtime import Status

    steps = int(result.steps[0])
    return f"{steps} step{'' if steps == 1 else 's'}, {Status(int(result.status[0])).words}"


def _methods(options: argparse.Namespace, explainer: Explainer) -> dict[str, Method]:
    """The methods by name, in order; InputError for none, one twice, and settings of another."""
    names = [name.strip() for name in options.methods.split(",") if name.strip()]
    need(names and len(set(names)) == len(names), f"--methods is '{options.methods}', name each method once")
    settings: dict[str, list[str]] = {name: [] for name in names}
    for assignment in options.set:
        name, _, setting = assignment.partition(".")
        if name not in settings:
            raise InputError(f"--set {assignment}: write METHOD.NAME=VALUE, of a method in --methods")
        settings[name].append(setting)
    return {name: method_from(name, settings[name], explainer.prepare) for name in names}


def _need_own(path: Path) -> None:
    """Raise InputError if writing the sheet would replace a file that fluxpath did not write."""
    from fluxpath.runtime.pictures import is_ours

    need(path.suffix.lower() == ".png", f"--out is '{path}', and a sheet is a .png file")
    need(path.parent.is_dir(), f"'{path}': there is no folder '{path.parent}' to write to")
    if os.path.lexists(path) and not is_ours(path):
        raise InputError(f"'{path}' would be replaced, and fluxpath did not write it: write elsewhere")
