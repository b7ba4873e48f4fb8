"""What `fluxpath explain` shows and draws: classes by name, the best of them, cards, and a legend."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import smooth
from PIL import Image

from fluxpath.cli import main
from fluxpath.runtime import Explainer, Status
from fluxpath.runtime.pictures import Drawing
from fluxpath.runtime.pictures.colours import COLORMAPS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("explain")
    onnx.save(smooth(), path / "model.onnx")
    classes = smooth().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    names = ["ant", "bee, honey bee", "cat\x1b[2J", *(f"class {i}" for i in range(3, classes))]
    (path / "names.txt").write_text("\n".join(names[:classes]) + "\n")
    (path / "photos" / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "sub/b.jpg"):
        Image.fromarray(rng.integers(0, 255, (20, 30), np.uint8)).save(path / "photos" / name)
    for objective in ("softmax", "logit"):
        graph = str(path / f"{objective}.grad.onnx")
        arguments = ["export", str(path / "model.onnx"), "-o", graph, "--objective", objective]
        assert main([*arguments, "--classes", str(path / "names.txt")]) == 0
    return path


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def explained(*arguments: str, objective: str = "softmax", photos: str = "photos") -> int:
        return main(["explain", str(folder / f"{objective}.grad.onnx"), str(folder / photos), *arguments])

    return explained


def rows_in(path: str = "heatmaps/results.jsonl") -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()][1:]


@pytest.mark.parametrize("target", ["bee", "BEE, honey bee", "1"])
def test_a_class_is_named_or_numbered(run, folder, capsys, target):
    assert run("--target", target) == 0
    printed = capsys.readouterr().out
    assert {row["target"] for row in rows_in()} == {1}
    for row in rows_in():
        assert re.search(rf"{row['name']} +bee, honey bee +{row['probability']:.1%} +\d+ +\w+", printed)


def test_names_of_others_do_not_reach_the_terminal(run, capsys):
    assert run("--target", "2") == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and "cat\\x1b[2J" in printed


@pytest.mark.parametrize("photos", ["photos", "photos/a.png"])
def test_the_best_classes_of_each_photo(run, folder, capsys, photos):
    assert run("--top", "2", photos=photos) == 0
    rows = rows_in()
    with Explainer(folder / "softmax.grad.onnx") as explainer:
        for name, pair in {"a": rows[:2], "b": rows[2:]}.items():
            if not pair:
                continue
            photo = next((folder / "photos").rglob(f"{name}.*"))
            best = explainer.predict(photo, top=2).classes[0].tolist()
            assert [row["target"] for row in pair] == best
            assert [Path(row["name"]).stem for row in pair] == [f"{name}-top1", f"{name}-top2"]
            assert all(Path("heatmaps", *row["files"]).is_file() for row in pair)
            assert pair[0]["probability"] >= pair[1]["probability"]
    assert len(rows) == (4 if photos == "photos" else 2)
    capsys.readouterr()
    assert run("--top", "2", "--resume", photos=photos) == 0
    assert f"0 written, {len(rows)} skipped" in capsys.readouterr().out


def test_another_number_of_best_classes_is_another_run(run, capsys):
    assert run("--top", "2", "--out", "x.npz") == 0
    assert run("--top", "1", "--resume", "--out", "x.npz") == 1
    assert "was written with top 2, and this run has 1" in capsys.readouterr().err


def test_more_best_classes_than_there_are_is_all_of_them(run, folder):
    with Explainer(folder / "softmax.grad.onnx") as explainer:
        classes = explainer.manifest.classes
    assert run("--top", "99", "--out", "x.npz") == 0
    with np.load("x.npz") as file:
        assert file["target"].reshape(2, -1).shape == (2, classes)


def test_a_damaged_photo_fails_alone_among_the_best_classes(run, folder, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes((folder / "photos" / "a.png").read_bytes())
    (tmp_path / "in" / "z.png").write_bytes(b"no image")
    assert main(["explain", str(folder / "softmax.grad.onnx"), "in", "--top", "2"]) == 1
    printed = capsys.readouterr()
    assert "z.png" in printed.err and "a-top2.png" in printed.out
    assert len(rows_in()) == 2


@pytest.mark.parametrize("card", [True, False])
def test_pictures_are_drawn_as_was_asked(run, folder, card):
    assert (
        run("--polarity", "both", "--size", "150", *(["--card"] if card else []), photos="photos/a.png") == 0
    )
    with Explainer(folder / "softmax.grad.onnx") as explainer:
        from fluxpath.runtime import MFABA

        result = explainer.attribute(folder / "photos" / "a.png", method=MFABA(ascent="sharp"))
    drawing = Drawing(polarity="both", size=150)
    drawn = result.card(0, drawing) if card else result.overlay(0, drawing)
    with Image.open("heatmaps/a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), np.asarray(drawn))


@pytest.mark.parametrize("options", [["--card"], ["--alpha", "0.5"]], ids=" ".join)
def test_a_file_without_pictures_is_not_drawn(run, capsys, options):
    assert run("--out", "x.npz", *options) == 1
    assert "'x.npz' holds no pictures" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("options", [["--top", "0"], ["--top", "-1"]], ids=" ".join)
def test_no_best_class_is_a_mistake(run, capsys, options):
    assert run(*options) == 1
    assert "and must be 1 or more" in capsys.readouterr().err


def test_one_class_and_the_best_ones_do_not_go_together(run, capsys):
    with pytest.raises(SystemExit):
        run("--top", "2", "--target", "1")
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(("objective", "score"), [("softmax", "the probability"), ("logit", "'logit'")])
def test_a_terminal_gets_a_legend_and_a_script_the_rows(run, capsys, monkeypatch, objective, score):
    assert run(objective=objective) == 0
    piped = capsys.readouterr().out
    assert len(piped.splitlines()) == 4
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(objective=objective) == 0
    shown = capsys.readouterr().out
    table, _, legend = shown.partition("\n\n")
    assert f"{table}\n" == piped
    lines = legend.splitlines()
    assert score in lines[0] and lines[1].startswith("steps: ")
    ends = {f"ended by {row['status']}: {Status.of(row['status']).meaning}" for row in rows_in()}
    assert set(lines[2:]) == ends


def test_a_file_of_lines(run):
    assert run("--out", "x.jsonl") == 0
    entries = [json.loads(line) for line in Path("x.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["name"] for entry in entries] == ["a.png", "sub/b.jpg"]


def test_an_exact_name_comes_before_a_number(folder, tmp_path, monkeypatch):
    """In a file of names that begins with a byte order mark, as Windows' editors write it."""
    monkeypatch.chdir(tmp_path)
    classes = smooth().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    names = [str(number + 1) for number in range(classes)]
    Path("names.txt").write_text("\n".join(names), encoding="utf-8-sig")
    assert main(["export", str(folder / "model.onnx"), "-o", "g.onnx", "--classes", "names.txt"]) == 0
    for target, number in (("1", 0), ("2", 1), ("0", 0)):
        assert main(["explain", "g.onnx", str(folder / "photos"), "--target", target]) == 0
        assert {row["target"] for row in rows_in()} == {number}


def test_more_classes_than_there_are_are_said(run, capsys):
    assert run("--top", "99") == 0
    assert "--top is 99, and the model has 4 classes: all of them" in capsys.readouterr().err


def test_an_error_in_a_method_of_ones_own_is_a_sentence(run, capsys):
    Path("own_raising.py").write_text(
        "from dataclasses import dataclass\n"
        "from fluxpath.runtime import Method\n"
        "@dataclass(frozen=True)\n"
        "class Own(Method):\n"
        "    def advance(self, lanes, slots):\n"
        "        raise ValueError('no such step\\nat all')\n"
    )
    assert run("--method", "own_raising:Own") == 1
    said = capsys.readouterr().err
    assert re.search(r"the method failed in .*own_raising\.py, line 6: ValueError: no such step\n", said)
    assert "Traceback" not in said


def test_a_run_with_top_is_not_continued_without(run, capsys):
    assert run("--top", "2", "--out", "x.npz") == 0
    assert run("--resume", "--out", "x.npz") == 1
    assert "was written with top 2, and this run has no top" in capsys.readouterr().err


def test_the_help_names_the_colour_maps(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    printed = capsys.readouterr().out
    assert all(f'"{name}"' in printed for name in COLORMAPS)
