"""`fluxpath evaluate`: measures which methods explain a model best, and writes a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fluxpath.cli._common import (
    Commands,
    add_trust,
    current_folder,
    method_from,
    named_path,
    say,
    settings_from,
    show,
)
from fluxpath.cli._drawing import add_drawing, drawing_from
from fluxpath.cli._spelling import each_of
from fluxpath.errors import InputError
from fluxpath.methods import NAMES
from fluxpath.progress import Progress
from fluxpath.text import counted, named_once

if TYPE_CHECKING:
    from fluxpath.runtime import Explainer, Method
    from fluxpath.runtime.evaluation import Evaluation
    from fluxpath.runtime.metrics import Metric

METHODS = "mfaba-sharp,neflag,integrated-gradients,random"
METRICS = "insertion,deletion"
# Images that are named because they failed; the report names more.
NAMED = 10


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure which methods explain a model best, and write a report",
        epilog="A run that was interrupted goes on where it was when the same command is given again.",
    )
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("data", type=named_path,
                        help="a folder of photos, or of a folder for each class; a .csv, .tsv, .jsonl, "
                        ".parquet or .npz file; a data set saved by Hugging Face's datasets")  # fmt: skip
    parser.add_argument("--methods", default=METHODS, metavar="NAMES",
                        help="with settings after a colon, as in neflag:n=20,radius=0.03,saliency; 'random' "
                        f"is chance (default {METHODS})")  # fmt: skip
    parser.add_argument("--metrics", metavar="NAMES",
                        help="with settings as in --methods, several values of one joined by +, as in "
                        f"insertion:substrate=black+blur (default {METRICS})")  # fmt: skip
    parser.add_argument("--preset", metavar="NAME",
                        help="the metrics as a paper or a library defines them")  # fmt: skip
    parser.add_argument("--report", type=named_path, default=Path("evaluation"), metavar="FOLDER",
                        help="the folder to write to (default evaluation)")  # fmt: skip
    parser.add_argument("--restart", action="store_true", help="begin anew where the folder holds a run")
    _add_data(parser)
    parser.add_argument("--photos", type=int, default=6, metavar="N",
                        help="how many photos the report shows (default 6)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--batch", type=int, default=8, metavar="N",
                        help="images explained, measured and saved at a time (default 8)")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 or auto")
    add_trust(parser)
    add_drawing(parser)
    parser.set_defaults(run=run)


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Options about which images there are, and what is known of them."""
    parser.add_argument("--target", choices=("predicted", "label"), default="predicted",
                        help="which class is explained (default predicted)")  # fmt: skip
    parser.add_argument("--only", choices=("correct",), help="leave out images that the model gets wrong")
    parser.add_argument("--sample", type=int, metavar="N", help="take N images, drawn with --seed")
    parser.add_argument("--masks", type=named_path, metavar="FOLDER",
                        help="pictures named like the images, white where the pixels matter")  # fmt: skip
    parser.add_argument("--image-column", metavar="NAME", help="of a table (default: by its name)")
    parser.add_argument("--label-column", metavar="NAME", help="of a table (default: by its name)")


def run(options: argparse.Namespace) -> None:
    """Evaluate, print the table, and say where the report is."""
    from fluxpath.runtime import Explainer
    from fluxpath.runtime.evaluation import evaluate

    drawing, metrics = (
        drawing_from(options),
        metrics_from(
            options.metrics, options.preset, options.masks is not None or options.data.suffix == ".npz"
        ),
    )
    with Progress(None, "model", f"opening {options.graph}", alike=False):
        explainer = Explainer(options.graph, device=options.device, trust=options.trust)
    with explainer:
        try:
            found = evaluate(
                explainer,
                options.data,
                methods=methods_from(options.methods, explainer),
                metrics=metrics,
                report=options.report,
                target=options.target,
                only=options.only,
                masks=options.masks,
                image_column=options.image_column,
                label_column=options.label_column,
                sample=options.sample,
                photos=options.photos,
                drawing=drawing,
                seed=options.seed,
                batch=options.batch,
                restart=options.restart,
            )
        except KeyboardInterrupt:
            if not (options.report / "evaluation.jsonl").exists():
                raise
            raise KeyboardInterrupt(
                f"'{options.report}' keeps what was measured, and the same command goes on from there"
            ) from None
    show(found.table())
    _report(found, options.report)


def _report(found: Evaluation, folder: Path) -> None:
    """Say what was left out, and where the report is."""
    for name, sentence in list(found.failures.items())[:NAMED]:
        say(named_once(name, sentence), sys.stderr)
    if found.failures:
        one = len(found.failures) == 1
        left_out = "is left out" if one else "are left out"
        say(f"{counted(len(found.failures), 'image')} could not be read and {left_out}", sys.stderr)
    if found.about.get("note"):
        say(f"{found.about['note']}", sys.stderr)
    say(f"{folder / 'report.html'}")


def methods_from(text: str, explainer: Explainer) -> dict[str, Method]:
    """The methods that --methods names, by their spelling there; InputError as for --method of explain."""
    from fluxpath.runtime.evaluation.noise import RANDOM, Random
    from fluxpath.runtime.methods.named import need_known

    def made(name: str, assignments: list[str]) -> Method:
        need_known(name, [RANDOM])
        if name == RANDOM:
            return Random(**settings_from(name, Random, assignments))
        return method_from(name, assignments, explainer.prepare)

    return each_of("--methods", text, [*NAMES, RANDOM], made)


def metrics_from(text: str | None, preset_name: str | None, masks: bool) -> dict[str, Metric]:
    """The metrics that --preset and --metrics name; InputError for a name in both, and unknown ones.

    masks: whether there may be any; without, a preset's metrics that need them are left out, and named.
    """
    from fluxpath.runtime.metrics import metric_named, preset
    from fluxpath.runtime.metrics.named import METRICS as METRIC_NAMES
    from fluxpath.runtime.metrics.named import class_named

    def made(name: str, assignments: list[str]) -> Metric:
        with current_folder():
            return metric_named(name, **settings_from(name, class_named(name), assignments))

    chosen = {} if preset_name is None else dict(preset(preset_name))
    if left_out := [name for name, metric in chosen.items() if metric.needs_mask and not masks]:
        say(f"fluxpath: {', '.join(left_out)} of '{preset_name}' left out: there are no --masks", sys.stderr)
        chosen = {name: metric for name, metric in chosen.items() if name not in left_out}
    given = METRICS if text is None and preset_name is None else text
    if given is not None:
        more = each_of("--metrics", given, METRIC_NAMES, made)
        for name in more:
            if name in chosen:
                raise InputError(
                    f"--metrics has '{name}', which the preset '{preset_name}' has too: leave it out"
                )
        chosen |= more
    return chosen
