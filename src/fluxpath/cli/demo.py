"""`fluxpath demo`: goes from a model file to heat maps in a minute."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fluxpath.cli._common import (
    Commands,
    export_with_progress,
    make_folder,
    method_from,
    named_path,
    need_export,
    say,
    show,
    table,
)
from fluxpath.progress import Progress

if TYPE_CHECKING:
    from PIL import Image

    from fluxpath.runtime import Attribution, Explainer

MODEL = Path(__file__).resolve().parents[1] / "demo" / "digits.onnx"
COUNT = 100
METHODS = ("mfaba-sharp", "mfaba-smooth", "neflag")


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `demo`."""
    parser = commands.add_parser("demo", help="explain real handwritten digits with the bundled model")
    parser.add_argument("--out", type=named_path, default=Path("demo-output"), help="folder to write to")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export the bundled classifier, explain test digits, write a contact sheet and print a table."""
    from fluxpath.demo.digits import test_digits
    from fluxpath.runtime import Explainer
    from fluxpath.runtime.pictures import Drawing, contact_sheet, heatmap, picture, save_png

    images, labels = test_digits()
    images, labels = images[:COUNT], labels[:COUNT]
    folder = make_folder(options.out)
    graph, sheet = folder / "digits.grad.onnx", folder / "digits.png"
    export = need_export()
    names = [str(digit) for digit in range(10)]
    export_with_progress(lambda s: export.gradient_from_onnx(MODEL, graph, class_names=names, progress=s))
    shown = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    pictures: list[list[Image.Image]] = [[picture(images[i], 96) for i in shown]]
    rows = [["method", "steps", "ms per image", "one image, ms"]]
    drawing = Drawing(size=96, clip_percent_lowerbound=80, clip_percent_upperbound=99)
    with Explainer(graph) as explainer, Progress(len(METHODS), "method", alike=False) as progress:
        for name in METHODS:
            progress.doing(name)
            result, row = _timed(explainer, name, images)
            rows.append(row)
            pictures.append([heatmap(result.values[i], drawing) for i in shown])
            progress.update()
    save_png(contact_sheet(pictures, names, ["image", *METHODS]), sheet)
    show(f"{COUNT} handwritten digits that the model was not trained on:\n")
    show(table(rows))
    show()
    say(f"gradient graph  {graph}")
    say(f"contact sheet   {sheet}")


def _timed(explainer: Explainer, name: str, images: npt.NDArray[np.float32]) -> tuple[Attribution, list[str]]:
    """The method's result for all images, and its table row: times for all at once and for single images."""
    method = method_from(name, ())
    explainer.attribute(images[:2], method=method)
    begin = time.perf_counter()
    result = explainer.attribute(images, method=method)
    together = (time.perf_counter() - begin) / len(images)
    singles = []
    for image in images[:10]:
        begin = time.perf_counter()
        explainer.attribute(image, method=method)
        singles.append(time.perf_counter() - begin)
    steps = f"{result.steps.mean():.1f}"
    return result, [name, steps, f"{1e3 * together:.2f}", f"{1e3 * float(np.median(singles)):.2f}"]
