"""`fluxpath evaluate`: methods and metrics as they are spelled, the table, the report, and mistakes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import smooth
from PIL import Image

from fluxpath.cli import main
from fluxpath.cli.evaluate import metrics_from
from fluxpath.runtime.evaluation.log import LOG
from fluxpath.runtime.metrics import preset

NAMES = ["ant", "bee, honey bee", "cat", "dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluate")
    onnx.save(smooth(), path / "model.onnx")
    (path / "names.txt").write_text("\n".join(NAMES) + "\n")
    rng = np.random.default_rng(0)
    for i in range(9):
        photo = path / "photos" / ("ant", "bee", "cat")[i % 3] / f"{i}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 30), np.uint8)).save(photo)
    arguments = ["export", str(path / "model.onnx"), "-o", str(path / "model.grad.onnx")]
    assert main([*arguments, "--classes", str(path / "names.txt")]) == 0
    return path


SMALL = ("--metrics", "insertion:steps=4,substrate=black,deletion:steps=4")


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def evaluated(*arguments: str, data: str | Path = "photos", metrics: tuple[str, ...] = SMALL) -> int:
        given = ["evaluate", str(folder / "model.grad.onnx"), str(folder / data)]
        return main([*given, "--methods", "saliency,random", *metrics, *arguments])

    return evaluated


def test_it_prints_a_table_and_writes_a_report(run, capsys):
    pytest.importorskip("pyarrow")
    assert run() == 0
    printed = capsys.readouterr().out
    assert "insertion:steps=4,substrate=black (higher)" in printed and "deletion:steps=4 (lower)" in printed
    assert "The model is right on" in printed and printed.endswith("evaluation/report.html\n")
    names = sorted(path.name for path in Path("evaluation").iterdir())
    assert names == [LOG, "report.html", "results.csv", "results.json", "results.parquet"]
    with open("evaluation/results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18 and {row["label"] for row in rows} == {"0", "1", "2"}
    told = json.loads(Path("evaluation/results.json").read_text())
    assert told["model"]["model"] == "model.grad.onnx" and len(told["model"]["sha256"]) == 64


def test_the_same_command_goes_on_and_another_is_refused(run, capsys):
    assert run() == 0
    rows = Path("evaluation/results.csv").read_bytes()
    assert run() == 0
    assert Path("evaluation/results.csv").read_bytes() == rows
    capsys.readouterr()
    assert run("--seed", "1") == 1
    error = capsys.readouterr().err.split("\r")[-1]
    assert "was written with seed 0, and this run has 1: start over (--restart), or write elsewhere" in error
    assert run("--seed", "1", "--restart") == 0


def test_settings_stand_behind_a_colon(run, capsys):
    assert (
        run("--methods", "neflag:n=2,radius=0.05,neflag:n=3,integrated-gradients:steps=3,random:seed=4") == 0
    )
    told = json.loads(Path("evaluation/results.json").read_text())["settings"]["methods"]
    assert list(told) == [
        "neflag:n=2,radius=0.05",
        "neflag:n=3",
        "integrated-gradients:steps=3",
        "random:seed=4",
    ]
    assert "n=2, radius=0.05" in told["neflag:n=2,radius=0.05"] and "Random(seed=4)" in told["random:seed=4"]
    assert "neflag:n=2,radius=0.05  " in capsys.readouterr().out


def test_arrays_are_files(run, folder, tmp_path):
    np.save(tmp_path / "b.npy", np.full((1, 6, 6), 0.25, np.float32))
    photo = folder / "photos" / "ant" / "0.png"
    assert (
        run("--methods", f"integrated-gradients:steps=3,baseline=b.npy,integrated-gradients:baseline={photo}")
        == 0
    )


def test_several_substrates_and_presets(run):
    assert run(metrics=("--metrics", "insertion:substrate=black+mean,steps=3")) == 0
    told = json.loads(Path("evaluation/results.json").read_text())["settings"]["metrics"]
    assert "('black', 'mean')" in told["insertion:substrate=black+mean,steps=3"]
    assert run("--report", "two", metrics=("--preset", "rise", "--metrics", "gini")) == 0
    assert list(json.loads(Path("two/results.json").read_text())["metrics"]) == [
        "insertion",
        "deletion",
        "gini",
    ]


def test_a_preset_leaves_out_what_needs_masks_where_there_are_none(capsys):
    found = metrics_from(None, "quantus", masks=False)
    assert "sparseness" in found and not any(metric.needs_mask for metric in found.values())
    told = "pointing-game, relevance-mass, relevance-rank of 'quantus' left out: there are no --masks"
    assert told in capsys.readouterr().err
    assert list(metrics_from(None, "quantus", masks=True)) == list(preset("quantus"))


def test_ones_own_methods_and_metrics(run, tmp_path, capsys):
    (tmp_path / "own_evaluate.py").write_text(
        "from dataclasses import dataclass\n"
        "from fluxpath.runtime import Saliency\n"
        "from fluxpath.runtime.metrics import Measured, Metric\n"
        "@dataclass(frozen=True)\n"
        "class Largest(Metric):\n"
        "    power: float = 1.0\n"
        "    better = 'higher'\n"
        "    def measure(self, case, found):\n"
        "        return Measured(float(case.values.max()) ** self.power)\n"
        "class Bad(Largest):\n"
        "    def measure(self, case, found):\n"
        "        return 1 / 0\n"
    )
    metrics = ("--metrics", "own_evaluate:Largest:power=2.0")
    assert run("--methods", "fluxpath.runtime:Saliency:absolute=false", metrics=metrics) == 0
    told = json.loads(Path("evaluation/results.json").read_text())["settings"]
    assert told["methods"] == {"fluxpath.runtime:Saliency:absolute=false": "Saliency(absolute=False)"}
    capsys.readouterr()
    assert run("--report", "bad", metrics=("--metrics", "own_evaluate:Bad")) == 1
    error = capsys.readouterr().err.split("\r")[-1]
    assert "failed in " in error and "own_evaluate.py, line 12: ZeroDivisionError" in error
    assert not Path("bad").exists()
    del sys.modules["own_evaluate"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "saliency,saliency"], "has 'saliency' twice"),
        (["--methods", "salience"], "there is no method 'salience'"),
        (["--methods", "saliency,randm"], "there is no method 'randm': the nearest is random; one's own"),
        (["--metrics", "gin"], "there is no metric 'gin': the nearest is gini; one's own"),
        (["--methods", "neflag:m=3"], "neflag has no setting 'm=3', it has"),
        (["--methods", "random:m=3"], "random has no setting 'm=3', it has seed"),
        (["--methods", "neflag:n=x"], "n is 'x'"),
        (["--methods", "neflag:n"], "neflag:n has no value: write neflag:n=VALUE"),
        (["--methods", "lpi"], "lpi needs the setting 'references': pass lpi:references=FILE.npy"),
        (["--metrics", "insert"], "there is no metric 'insert'"),
        (["--metrics", "insertion:substrate=red"], "red"),
        (["--preset", "risen"], "there is no preset 'risen'"),
        (["--preset", "rise", "--metrics", "insertion"], "which the preset 'rise' has too"),
        (["--sample", "0"], "sample is 0"),
        (["--masks", "no"], "there is no image or folder 'no'"),
        (["--metrics", "gini,pointing-game"], "pointing-game: defined with masks only"),
        (["--image-column", "x"], "are of tables"),
        (["--photos", "-1"], "photos is -1"),
        (["--alpha", "3"], "alpha is 3"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(run, capsys, arguments, said):
    assert run(*arguments, metrics=()) == 1
    error = capsys.readouterr().err.split("\r")[-1].strip()
    assert error.startswith("fluxpath: ") and said in error and "\n" not in error
    assert list(Path().iterdir()) == []


def test_damaged_photos_are_named_and_left_out(run, folder, tmp_path, capsys):
    listed = "".join(f"{folder / 'photos' / 'ant' / name}.png,ant\n" for name in ("0", "none", "3"))
    (tmp_path / "t.csv").write_text("path,label\n" + listed)
    assert run(data=tmp_path / "t.csv") == 0
    told = capsys.readouterr().err
    assert told.count("none.png: ") == 1 and "1 image could not be read and is left out" in told
    assert "none.png" in Path("evaluation/report.html").read_text()
    (tmp_path / "t.csv").write_text("path,label\nnone.png,ant\n")
    assert run("--report", "two", data=tmp_path / "t.csv") == 1
    assert "there is no image to evaluate: " in capsys.readouterr().err and not Path("two").exists()


def test_images_without_a_mask_are_told(run, tmp_path, capsys):
    for i in range(8):  # of nine
        mask = tmp_path / "masks" / f"{i}.png"
        mask.parent.mkdir(exist_ok=True)
        Image.new("L", (30, 20), 255).save(mask)
    assert run("--masks", str(tmp_path / "masks"), metrics=("--metrics", "pointing-game")) == 0
    assert "1 of 9 images has no mask: metrics that need one are of the others" in capsys.readouterr().err


def test_labels_choose(run, capsys):
    assert run("--target", "label") == 0
    with open("evaluation/results.csv", newline="") as file:
        assert all(row["target"] == row["label"] for row in csv.DictReader(file))
    assert run("--only", "correct", "--report", "two") in (0, 1)
    with open("two/results.csv", newline="") as file:
        assert all(row["predicted"] == row["label"] for row in csv.DictReader(file))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_a_folder_that_goes_on(folder, tmp_path, capsys, monkeypatch):
    """As a person interrupts it: a signal to the process, in the middle."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "many.npz", images=rng.random((300, 1, 6, 6), np.float32))
    command = ["evaluate", str(folder / "model.grad.onnx"), str(tmp_path / "many.npz"), "--batch", "2",
               "--methods", "saliency", "--metrics", "deletion:steps=4", "--report", "out"]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "fluxpath", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        log = tmp_path / "out" / LOG
        deadline = time.monotonic() + 60
        while not (log.exists() and log.stat().st_size > 3000) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
    if process.returncode == 0:
        pytest.skip("the run had ended before")
    assert process.returncode == 130
    assert "fluxpath: interrupted: 'out' keeps what was measured, and the same command goes on" in told
    assert [path.name for path in (tmp_path / "out").iterdir()] == [LOG]
    monkeypatch.chdir(tmp_path)
    assert main(command) == 0
    with open("out/results.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 300
    capsys.readouterr()
