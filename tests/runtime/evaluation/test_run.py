"""A run: in memory and in a folder, killed and continued, on other data and with wrong settings."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from evaluated import METHODS, METRICS, Covered, evaluated, images, rows_of

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends.onnx import OnnxSession
from fluxpath.runtime.evaluation import evaluate
from fluxpath.runtime.evaluation.data.base import Fitting
from fluxpath.runtime.evaluation.log import LOG
from fluxpath.runtime.metrics import Case, Measured, Metric, measure

FILES = ("report.html", "results.csv", "results.json", "results.parquet")


def test_values_are_those_of_the_metrics(graph):
    """Each image explained alone and measured alone gives the same, within the rounding of a batch."""
    found = evaluated(graph("smooth"), 5)
    with Explainer(graph("smooth"), threads=1) as explainer:
        for i, image in enumerate(images(5)):
            for name, method in METHODS.items():
                result = explainer.attribute(image, method=method)
                seed = found.plan.seed_of(f"{i:06d}")
                (alone,) = measure(explainer, [Case(image, result, seed)], list(METRICS.values()))
                for column, metric in METRICS.items():
                    assert found.values(column)[name][i] == pytest.approx(alone[metric].value, abs=1e-6)
                row = next(r for r in found.rows if (r["image"], r["method"]) == (f"{i:06d}", name))
                assert row["steps"] == result.steps[0] and row["target"] == result.target[0]


def test_a_folder_has_every_form_and_nothing_else(graph, tmp_path):
    pytest.importorskip("pyarrow")
    found = evaluated(graph("smooth"), 5, report=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted((LOG, *FILES))
    assert rows_of(found) == rows_of(evaluated(graph("smooth"), 5))
    assert found.about["sha256"] == hashlib.sha256(graph("smooth").read_bytes()).hexdigest() and found.about[
        "model"
    ].endswith(".onnx")


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from evaluated import evaluated
from fluxpath.runtime.evaluation import log
kept = log.RunLog.append
def append(self, lines):
    kept(self, lines)
    if self.batches == {after}:
        if {torn}:
            with open(self.path, "ab") as file:
                file.write(b'{{"name": "000008", "label": 0')
        os.kill(os.getpid(), signal.SIGKILL)
log.RunLog.append = append
evaluated({model!r}, 22, report={out!r})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(("after", "torn"), [(1, False), (2, True), (6, False)])
def test_a_killed_run_goes_on_where_it_was(graph, tmp_path, monkeypatch, after, torn):
    """And gives the same to the last bit; the last case dies between the last image and the report."""
    model, out = graph("smooth"), tmp_path / "out"
    script = KILLED.format(
        path=[p for p in sys.path if p], after=after, torn=torn, model=str(model), out=str(out)
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(path.name for path in out.iterdir()) == [LOG]
    logged = (out / LOG).read_bytes().count(b'"target"') - 1  # the head has one too
    assert logged == min(4 * after, 22)
    loaded, image = [], Fitting.image
    monkeypatch.setattr(Fitting, "image", lambda *given: loaded.append(given[2]) or image(*given))
    found = evaluated(model, 22, report=out)
    assert loaded == [f"{i:06d}" for i in range(logged, 22)], "an image was explained again, or left out"
    whole = evaluated(model, 22, report=tmp_path / "whole")
    assert rows_of(found) == rows_of(whole)
    assert (out / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    assert [photo.overlays for photo in found.photos] == [photo.overlays for photo in whole.photos]
    for metric in METRICS:
        assert found.standings(metric) == whole.standings(metric)
        for method, curves in whole.curves[metric].items():
            for name, curve in curves.items():
                np.testing.assert_array_equal(curve.mean, found.curves[metric][method][name].mean)


def test_the_report_tells_where_the_model_runs_and_not_what_was_asked(graph, tmp_path):
    class Elsewhere(OnnxSession):
        place = "cuda:1"

    with Explainer.from_session(Elsewhere(graph("smooth"), threads=1)) as explainer:
        found = evaluate(explainer, images(2), metrics=METRICS, progress=False, report=tmp_path)
    assert found.machine["device"] == "cuda:1"
    assert json.loads((tmp_path / "results.json").read_text())["machine"]["device"] == "cuda:1"
    assert "<td>cuda:1</td>" in (tmp_path / "report.html").read_text()
    with pytest.warns(RuntimeWarning, match="device='auto' uses the CPU"):
        found = evaluate(graph("smooth"), images(2), metrics=METRICS, progress=False, device="auto")
    assert found.machine["device"] == "cpu"


@dataclass(frozen=True)
class Strange(Metric):
    """A metric of one's own whose curves are hard to draw: without a first one for dark maps, or huge."""

    better = "higher"

    def measure(self, case, found):
        value = float(np.abs(case.values).sum())
        first = np.array([0.0, np.nan if value < self.bright else 1.0])
        return Measured(value, {"x": first, "y": np.array([value, 1e299]), "huge": np.full(2, 2e301)})

    bright: float = 1.0


@pytest.mark.parametrize("bright", [0.0, 1.0, np.inf])
def test_curves_of_ones_own_never_stop_the_report(graph, tmp_path, bright):
    found = evaluated(graph("smooth"), 4, metrics={"own": Strange(bright)}, report=tmp_path / "out")
    assert found.curves["own"]["random"].keys() >= {"y", "huge"}
    assert "own" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_is_not_mixed_with_another(graph, tmp_path):
    out = tmp_path / "out"
    evaluated(graph("smooth"), 6, report=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for options, said in (
        ({"seed": 1}, "with seed 0, and this run has 1"),
        ({"methods": {"saliency": METHODS["saliency"]}}, "method ig"),
        ({"metrics": {"insertion": METRICS["deletion"]}}, "metric deletion"),
        ({"batch": 5}, "with batch 4, and this run has 5"),
        ({"target": "label"}, "with target predicted, and this run has label"),
        ({"n": 7}, "with number of images 6, and this run has 7"),
    ):
        with pytest.raises(InputError, match=said):
            evaluated(graph("smooth"), **{"n": 6, "report": out, **options})
    with pytest.raises(InputError, match="with model"):
        evaluated(graph("linear"), 6, report=out)
    named = [(f"other {i}", image, 0) for i, image in enumerate(images(6))]
    with pytest.raises(InputError, match="was written of other data, with '000000' where there is 'other 0'"):
        evaluated(graph("smooth"), 6, data=named, report=out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    again = evaluated(graph("smooth"), 6, data=named, report=out, restart=True)
    assert again.images[0] == "other 0"


def test_an_interrupted_run_keeps_what_it_has(graph, tmp_path):
    def broken():
        for i, image in enumerate(images(10)):
            if i == 6:
                raise KeyboardInterrupt
            yield f"{i}", image

    with pytest.raises(KeyboardInterrupt):
        evaluated(graph("smooth"), data=broken(), report=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [LOG]
    named = [(f"{i}", image) for i, image in enumerate(images(10))]
    found = evaluated(graph("smooth"), data=iter(named), report=tmp_path / "out")
    assert len(found) == 10


@pytest.mark.parametrize("empty", [[], iter([]), {"images": []}, np.zeros((0, 1, 6, 6), np.float32)])
def test_empty_data_are_called_so(graph, tmp_path, empty):
    with pytest.raises(InputError, match="there is no image to evaluate: the data are empty"):
        evaluated(graph("smooth"), data=empty, report=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_leaves_nothing(graph, tmp_path):
    for options in (
        {"methods": ["salience"]},
        {"metrics": ["insert"]},
        {"target": "labels"},
        {"data": tmp_path / "missing"},
        {"data": {"images": images(3)}, "only": "correct"},
        {"data": [("a", np.zeros((2, 2), np.float32))]},
        {"masks": tmp_path / "missing"},
    ):
        with pytest.raises(InputError):
            evaluated(graph("smooth"), **{"report": tmp_path / "out", **options})
        assert list(tmp_path.iterdir()) == [], options


def test_damaged_images_are_left_out_and_named(graph):
    given = [(f"{i}", image) for i, image in enumerate(images(6))]
    given[2] = ("bad", np.full((1, 6, 6), np.nan, np.float32))
    found = evaluated(graph("smooth"), data=given)
    assert found.images == ["0", "1", "3", "4", "5"] and list(found.failures) == ["bad"]
    assert found.failures["bad"].startswith("bad: the image holds NaN")


def test_labels_choose_what_is_explained(graph):
    model = graph("smooth")
    found = evaluated(model, 20, target="label")
    np.testing.assert_array_equal(found.target, np.arange(20) % 4)
    right = found.predicted == found.label
    assert 0 < right.sum() < 20 and found.accuracy == pytest.approx(right.mean())
    only = evaluated(model, 20, only="correct")
    assert only.images == [name for name, ok in zip(found.images, right, strict=True) if ok]
    assert only.left_out == 20 - right.sum() and only.accuracy == found.accuracy
    some = [("a", images(3)[0], 1), ("b", images(3)[1], None), ("c", images(3)[2], 2)]
    assert evaluated(model, data=some, target="label").images == ["a", "c"]
    assert evaluated(model, data=some).labelled == 2


def test_masks_reach_the_metrics(graph):
    masks = np.zeros((8, 6, 6), bool)
    masks[:, :3] = True
    data = {"images": images(8), "masks": masks}
    found = evaluated(graph("smooth"), data=data, metrics={"covered": Covered()})
    assert 0.3 < found.values("covered")["random"].mean() < 0.7
    without = evaluated(graph("smooth"), 4, metrics={"covered": Covered()})
    assert np.isnan(without.values("covered")["ig"]).all() and "-" in without.table()


NEEDING = ["pointing-game", "relevance-mass", "relevance-rank"]


@pytest.mark.parametrize("metric", NEEDING)
def test_a_metric_that_needs_masks_is_refused_without_any(graph, tmp_path, metric):
    given = {"metrics": [metric, "gini"], "report": tmp_path / "out"}
    with pytest.raises(InputError, match=f"^{metric}: defined with masks only, and the images have none"):
        evaluated(graph("smooth"), 4, **given)
    assert not (tmp_path / "out").exists()


def test_a_sample_is_of_the_data(graph):
    found = evaluated(graph("smooth"), 12, sample=5)
    assert len(found) == 5 and set(found.images) <= {f"{i:06d}" for i in range(12)}


def test_the_model_may_be_a_file(graph):
    data = {"images": images(2)}
    found = evaluate(graph("smooth"), data, methods=["saliency"], metrics=METRICS, progress=False)
    assert len(found) == 2


def test_memory_does_not_grow_with_the_images(graph, tmp_path):
    """Ten times the images, and their attributions are let go of as before."""
    import tracemalloc

    def peak(n):
        coming = (("a" * 8, image) for image in (np.full((1, 6, 6), i / n, np.float32) for i in range(n)))
        tracemalloc.start()
        evaluated(graph("smooth"), data=coming, metrics={"deletion": METRICS["deletion"]}, photos=0,
                  methods={"saliency": METHODS["saliency"]})  # fmt: skip
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    few, many = peak(40), peak(400)
    assert many - few < 360 * 500, (few, many)


def test_a_run_waits_for_no_other(graph, tmp_path):
    """A second run into the same folder is refused while the first one writes."""
    script = (
        f"import sys, time; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
        "from pathlib import Path\n"
        "from fluxpath.runtime.evaluation.log import RunLog\n"
        "from fluxpath.runtime.records.rows import Head\n"
        f"log = RunLog(Path({str(tmp_path / 'out')!r}), Head({{}}, ()), ())\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            with pytest.raises(InputError, match="another run is writing"):
                evaluated(graph("smooth"), 3, report=tmp_path / "out")
        finally:
            other.kill()
