"""Evaluates methods by metrics on data, into a folder, or for the caller alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from fluxpath.errors import InputError
from fluxpath.files import as_path
from fluxpath.progress import Progress
from fluxpath.runtime.evaluation import machine
from fluxpath.runtime.evaluation.batches import Batches
from fluxpath.runtime.evaluation.data import Data, Datum, open_data
from fluxpath.runtime.evaluation.evaluation import Evaluation
from fluxpath.runtime.evaluation.log import RunLog, need_same
from fluxpath.runtime.evaluation.plan import METHODS, METRICS, Methods, Metrics, Plan, methods_of, metrics_of
from fluxpath.runtime.evaluation.saving import OUTPUTS, save_all
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.pictures.drawing import Drawing, as_drawing
from fluxpath.text import named_once


def evaluate(
    model: str | os.PathLike[str] | Explainer,
    data: Any,
    *,
    methods: Methods = METHODS,
    metrics: Metrics = METRICS,
    report: str | os.PathLike[str] | None = None,
    target: Literal["predicted", "label"] = "predicted",
    only: Literal["correct"] | None = None,
    masks: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    sample: int | None = None,
    photos: int = 6,
    drawing: Drawing | None = None,
    seed: int = 0,
    batch: int = 8,
    device: str = "cpu",
    progress: bool = True,
    restart: bool = False,
) -> Evaluation:
    """Explain every image by every method, and measure every attribution by every metric.

    model: a file that `fluxpath.export` wrote, or an `Explainer`.
    data: a folder of photos, or of a folder for each class, named by the class's name or number; a .csv,
        .tsv, .jsonl or .parquet file with a row for each image, or a data set of Hugging Face's that was
        saved (`save_to_disk`, or an imagefolder); an .npz file with images [n, ...], and if you have them
        labels [n] and masks [n, h, w]; a dict of such arrays; or an iterable of images, (name, image) and
        (name, image, label). Images are in any form that `Explainer.prepare` takes. Labels are numbers, or
        names of classes; None, NaN, "" and -1 are none.
    methods: names as for `method_named`, or methods; a dict names the columns. "random" is independent noise.
    metrics: names as for `metric_named`, or metrics; a dict names the columns, as `preset(...)` is one.
    report: a folder to write to: report.html, results.csv, results.json, results.parquet (where pyarrow is
        installed), and the log from which a run that was killed goes on when it is called again; what it then
        gives is bit-equal to one run's. None keeps nothing on disk.
    target: what is explained: the "predicted" class, or the image's "label".
    only: "correct" leaves out images that the model gets wrong.
    masks: a folder of pictures, named like the images: white where the pixels matter.
    image_column, label_column: of a table, where they have no usual names.
    sample: so many images, drawn with `seed`, in place of all.
    photos: how many photos the report shows, by all methods; `drawing` says how.
    seed: of what is random in metrics, and of the bootstrap.
    batch: how many images are explained, measured and written at a time; memory grows with it, and so does
        what a killed run does again.
    device: where a `model` that is a file is opened; an `Explainer` has its own. progress: see
        `attribute_many`. restart: begin anew where the folder holds a run.

    A damaged image is left out, and named in the result. Memory grows with the batch, and by a few numbers
    for each image, method and metric. Raises InputError for wrong settings or data, and a folder that holds
    another run's results; what was measured before an error stays in the folder.
    """
    folder = None if report is None else as_path(report, "the folder of the report")
    chosen = metrics_of(metrics)
    with ExitStack() as stack:
        explainer = model
        if not isinstance(explainer, Explainer):
            with Progress(None, "model", "opening the model", show=progress, alike=False):
                explainer = stack.enter_context(Explainer(explainer, device=device))
        manifest, shape = explainer.manifest, explainer.shape
        if manifest.companions:
            raise InputError("the model has further inputs, which an evaluation does not give")
        fitted = methods_of(methods, shape, manifest)
        plan = Plan(fitted, chosen, target, only, sample, photos, seed, batch, as_drawing(drawing))
        opened = open_data(
            data, manifest, shape, masks=masks, image_column=image_column, label_column=label_column
        )
        plan.check(opened)
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxpath-")))
        head = plan.head(manifest, shape, opened, "evaluation")
        log = RunLog(folder, head, OUTPUTS, restart)
        stack.callback(log.close)
        run = _Run(explainer, plan, opened, log)
        run.all(progress)
        notes = [note for note in (opened.note, run.unmasked) if note]
        about = {"data": opened.source or "objects in memory", "note": "; ".join(notes)}
        if explainer.path is not None:
            about |= {"model": explainer.path.name, "sha256": explainer.sha256}
        found = Evaluation.of(log.path, log.batches, plan, manifest, about, machine.machine(explainer.device))
        if not found.images:
            log.close(remove=True)
            left_out = (
                "their labels, or only='correct', leave all out" if log.batches else "the data are empty"
            )
            why = next((named_once(*failed) for failed in found.failures.items()), left_out)
            raise InputError(f"there is no image to evaluate: {why}")
        if report is not None:
            save_all(found, folder, log.temporary)
    return found


class _Run:
    """Goes through the data: what the log has is passed over, the rest evaluated and logged."""

    def __init__(self, explainer: Explainer, plan: Plan, data: Data, log: RunLog) -> None:
        self._explainer, self._plan, self._data, self._log = explainer, plan, data, log
        self._seen = self._masked = 0

    @property
    def unmasked(self) -> str:
        """How many images have no mask, where others have one; or ""."""
        if not self._data.masked or self._masked == self._seen:
            return ""
        without = self._seen - self._masked
        have = "has" if without == 1 else "have"
        return f"{without} of {self._seen} images {have} no mask: metrics that need one are of the others"

    def all(self, progress: bool) -> None:
        """Evaluate every batch that is not in the log; InputError if the log is of other data."""
        coming = self._chosen()
        done, drawn = self._passed(coming)
        total = self._plan.total(self._data.count)
        left = None if total is None else (total - done) * len(self._plan.methods)
        if left == 0:
            return
        positions = self._plan.positions(self._data.count, self._explainer.shape)
        with Progress(left, "attribution", "evaluating", show=progress) as shown:

            def said(what: str, count: int) -> None:
                if what:
                    shown.doing(what)
                shown.update(count)

            batches = Batches(self._explainer, self._plan, positions, drawn, said)
            while data := list(islice(coming, self._plan.batch)):
                self._log.append(batches.lines(done, data))
                done += len(data)

    def _chosen(self) -> Iterator[Datum]:
        chosen = self._plan.chosen(self._data.count)
        for i, datum in enumerate(self._data.items()):
            if chosen is None or i in chosen:
                self._seen += 1
                self._masked += datum.masked
                yield datum

    def _passed(self, coming: Iterator[Datum]) -> tuple[int, int]:
        """Pass over what the log has of the data; how many images, and photos of the grid, that is."""
        done = drawn = 0
        if not self._log.batches:
            return done, drawn
        for line in self._log.lines():
            if line.name == "":
                continue
            datum = next(coming, None)
            need_same(datum, line, self._log.path)
            done, drawn = done + 1, drawn + ("photo" in line.content)
        return done, drawn
