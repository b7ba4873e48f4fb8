"""`fluxpath explain`: writes heat maps of photos, or their attributions in one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fluxpath.cli._common import Commands, add_method, add_trust, make_folder, method_from, say, show, table
from fluxpath.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fluxpath.runtime import Attribution, Explainer, Method, Sink, Summary
    from fluxpath.runtime.bulk.sources import Source

FORMATS = ("png", "npy", "npz", "parquet")
# A table of more images than this would run off the screen.
TABLE_ROWS = 40


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `explain`."""
    parser = commands.add_parser("explain", help="write heat maps of what decided a prediction")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("images", type=Path, nargs="+", help="photos, or folders of them")
    add_method(parser)
    parser.add_argument("--target", type=int, help="the class to explain (default: the predicted one)")
    parser.add_argument("--out", default="heatmaps",
                        help="folder, or .npz, .npy or .parquet file, to write to (default heatmaps); a "
                        "folder with a suffix ends in /")  # fmt: skip
    parser.add_argument("--format", choices=FORMATS,
                        help="overlays in a folder, or one file (default: by --out's suffix)")  # fmt: skip
    parser.add_argument("--npy", action="store_true", help="also write attributions beside the overlays")
    parser.add_argument("--resume", action="store_true", help="do only what an interrupted run left undone")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 or auto")
    add_trust(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain every photo, write the results and print a table of them, or one line if there are many."""
    from fluxpath.runtime import Explainer
    from fluxpath.runtime.bulk.sinks import form_of

    form_of(_target(options))
    source = _source(options.images)
    with Explainer(options.graph, device=options.device, trust=options.trust) as explainer:
        method = method_from(options.method, options.set, explainer.prepare)
        tabled = _Tabled(lambda: _sink(options, explainer, method, source), explainer, _target(options))
        summary = explainer.attribute_many(source, tabled, target=options.target, method=method)
    if 0 < len(tabled.rows) <= TABLE_ROWS:
        show(table([["image", "class", "score", "steps", "ended by", "written"], *tabled.rows]))
    if summary.written > TABLE_ROWS or summary.skipped:
        say(f"{_target(options)}: {summary}")
    _report(summary)


class _Tabled:
    """A sink that keeps the table's rows, for as many images as the table holds.

    The real sink opens with the first image, so that a wrong setting cannot destroy an earlier run's results.
    """

    def __init__(self, opened: Callable[[], Sink], explainer: Explainer, target: str) -> None:
        self._opened, self._explainer, self._target = opened, explainer, target
        self.rows: list[list[str]] = []

    @cached_property
    def _sink(self) -> Sink:
        return self._opened()

    def done(self, name: str) -> bool:
        return self._sink.done(name)

    def close(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        if "_sink" in vars(self):
            getattr(self._sink, "abandon", self._sink.close)()

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> None:
        from fluxpath.runtime import Status

        written = self._sink.write(name, image, result) or self._target
        if len(self.rows) <= TABLE_ROWS:
            label = _class_name(self._explainer, int(result.target[0]))
            ended = Status(result.status[0]).name.lower().replace("_", " ")
            score, steps = f"{result.score[0]:.4f}", str(result.steps[0])
            self.rows.append([name, label, score, steps, ended, str(written)])


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


def _sink(options: argparse.Namespace, explainer: Explainer, method: Method, source: Source) -> Sink:
    from fluxpath.runtime.bulk.many import head_of
    from fluxpath.runtime.bulk.sinks import open_sink
    from fluxpath.runtime.preparation import Preparation

    manifest = explainer.manifest
    Preparation.of(manifest, explainer.shape).check()
    target = _target(options)
    make_folder(Path(target).parent)
    return open_sink(
        target,
        head_of(explainer, source, options.target, method),
        resume=options.resume,
        low=manifest.low,
        high=manifest.high,
        npy=options.npy,
        flat=isinstance(source, list),
    )


def _report(summary: Summary) -> None:
    """Print one line per image that failed; raise InputError if there are any, so that a script notices."""
    failures = list(summary.failures.items())
    if not failures:
        return
    if len(failures) == 1:
        raise InputError(failures[0][1])
    for name, sentence in failures[:TABLE_ROWS]:
        say(f"{name}: {sentence}", sys.stderr)
    count = summary.written + summary.skipped + len(failures)
    raise InputError(f"{len(failures)} of {count} images failed, '{failures[0][0]}' first")


def _class_name(explainer: Explainer, target: int) -> str:
    names = explainer.manifest.class_names
    return names[target] if names is not None and 0 <= target < len(names) else str(target)
