"""`fluxpath explain`: writes heat maps of photos, or their attributions in one file."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fluxpath.checks import need
from fluxpath.cli._common import (
    Commands,
    add_method,
    add_trust,
    make_folder,
    method_from,
    say,
    show,
)
from fluxpath.cli._drawing import add_drawing, drawing_from
from fluxpath.cli._ray import add_ray, check_ray, explain_on_ray
from fluxpath.cli._results import Tabled, results_table
from fluxpath.cli._top import TopClasses
from fluxpath.errors import InputError
from fluxpath.progress import Progress
from fluxpath.text import named_once

if TYPE_CHECKING:
    from fluxpath.runtime import Explainer, Method, Sink, Summary
    from fluxpath.runtime.bulk.sources import Source
    from fluxpath.runtime.pictures import Drawing

FORMATS = ("png", "npy", "npz", "parquet", "jsonl")
# A table of more images than this would run off the screen.
TABLE_ROWS = 40


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `explain`."""
    parser = commands.add_parser("explain", help="write heat maps of what decided a prediction",
                                 epilog="On a terminal, lines below the table say what its columns mean; a "
                                 "program that reads the output gets the table alone.")  # fmt: skip
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("images", type=Path, nargs="+", help="photos, or folders of them")
    add_method(parser)
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument("--target", metavar="CLASS",
                         help="the class to explain, by name or number (default: the predicted "
                         "one)")  # fmt: skip
    classes.add_argument("--top", type=int, metavar="K",
                         help="explain the K best classes of each photo, one result for each")  # fmt: skip
    parser.add_argument("--out", default="heatmaps",
                        help="folder, or .npz, .npy, .parquet or .jsonl file (the results without the "
                        "attributions), to write to (default heatmaps); a folder with a suffix ends "
                        "in /")  # fmt: skip
    parser.add_argument("--format", choices=FORMATS,
                        help="pictures in a folder, or one file (default: by --out's suffix)")  # fmt: skip
    parser.add_argument("--card", action="store_true",
                        help="pictures with the photo and the heat map beside the overlay, and a "
                        "caption")  # fmt: skip
    parser.add_argument("--npy", action="store_true", help="also write attributions beside the pictures")
    parser.add_argument("--resume", action="store_true", help="do only what an interrupted run left undone")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 or auto")
    add_trust(parser)
    add_drawing(parser)
    add_ray(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain every photo, write the results and print a table of them, or one line if there are many."""
    from fluxpath.runtime import Explainer

    drawing = drawing_from(options)
    _check(options, drawing)
    if options.ray is not None:
        summary = explain_on_ray(options)
        say(f"{options.out}: {summary}")
        _report(summary)
        return
    source = _source(options.images)
    with Progress(None, "model", f"opening {options.graph}", alike=False):
        explainer = Explainer(options.graph, device=options.device, trust=options.trust)
    with explainer:
        method = method_from(options.method, options.set, explainer.prepare)
        tabled = Tabled(lambda: _sink(options, explainer, method, source, drawing), _target(options))
        given = source if options.top is None else TopClasses(explainer, source, options.top)
        summary = explainer.attribute_many(given, tabled, target=_class(options, explainer), method=method)
        if 0 < len(tabled.rows) <= TABLE_ROWS:
            show(results_table(tabled.rows, tabled.statuses, explainer.manifest.objective))
    if summary.written > TABLE_ROWS or summary.skipped:
        say(f"{_target(options)}: {summary}")
    _report(summary)


def _check(options: argparse.Namespace, drawing: Drawing) -> None:
    """Raise InputError for options that do not go together, before anything is opened."""
    from fluxpath.runtime.bulk.sinks import form_of
    from fluxpath.runtime.pictures import Drawing

    need(options.top is None or options.top >= 1, f"--top is {options.top}, and must be 1 or more")
    check_ray(options, drawing != Drawing())
    if options.ray is not None:
        return
    if form_of(_target(options)) is not None and (options.card or drawing != Drawing()):
        raise InputError(
            f"'{_target(options)}' holds no pictures: leave out the options of how they look, or write to a "
            "folder"
        )
    if form_of(_target(options)) is not None and options.npy:
        raise InputError(
            f"--npy writes attributions beside pictures, and '{_target(options)}' is no folder: leave it out"
        )


def _source(paths: list[Path]) -> Source:
    """A single folder as it is, so that the results keep its structure; otherwise the list of all files."""
    from fluxpath.runtime.bulk.sources import listed

    if len(paths) == 1:
        return paths[0]
    return list(dict.fromkeys(listed(paths)))


def _target(options: argparse.Namespace) -> str:
    """The path to write to: --out, plus the suffix of --format if that names a file and --out has none."""
    out: str = options.out
    if not out:
        raise InputError("--out is empty: name a file or a folder (--out . is the current one)")
    suffix = Path(out).suffix.removeprefix(".")
    if options.format is None or suffix == options.format != "png":
        return out
    if suffix in FORMATS:
        raise InputError(f"--format is {options.format}, and --out is '{out}': give one of the two")
    return f"{out}/" if options.format == "png" else f"{Path(out)}.{options.format}"


def _sink(
    options: argparse.Namespace, explainer: Explainer, method: Method, source: Source, drawing: Drawing
) -> Sink:
    from fluxpath.runtime.bulk.many import head_of
    from fluxpath.runtime.bulk.sinks import open_sink
    from fluxpath.runtime.preparation import Preparation

    manifest = explainer.manifest
    Preparation.of(manifest, explainer.shape).check()
    target = _target(options)
    make_folder(Path(target).parent)
    head = head_of(explainer, source, _class(options, explainer), method)
    return open_sink(
        target,
        head if options.top is None else replace(head, run={**head.run, "top": str(options.top)}),
        resume=options.resume,
        low=manifest.low,
        high=manifest.high,
        npy=options.npy,
        flat=isinstance(source, list),
        drawing=drawing,
        cards=options.card,
    )


def _class(options: argparse.Namespace, explainer: Explainer) -> int | None:
    """The number of the class to explain; None for the predicted one."""
    from fluxpath.runtime.inputs import as_targets

    given, manifest = options.target, explainer.manifest
    if given is None:
        return None
    return int(as_targets(given, 1, manifest.classes, manifest.class_names)[0])


def _report(summary: Summary) -> None:
    """Print one line per image that failed; raise InputError if there are any, so that a script notices."""
    failures = list(summary.failures.items())
    if not failures:
        return
    if len(failures) == 1:
        raise InputError(failures[0][1])
    for name, sentence in failures[:TABLE_ROWS]:
        say(named_once(name, sentence), sys.stderr)
    count = summary.written + summary.skipped + len(failures)
    raise InputError(f"{len(failures)} of {count} images failed, '{failures[0][0]}' first")
