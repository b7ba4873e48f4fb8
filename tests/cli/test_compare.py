"""`fluxpath compare`: one sheet, photos as rows, methods as columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import smooth
from PIL import Image

from fluxpath.cli import compare, main
from fluxpath.runtime import Explainer, IntegratedGradients, NeFLAG
from fluxpath.runtime.pictures import Drawing, is_ours

NAMES = ["ant", "bee, honey bee", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare")
    onnx.save(smooth(), path / "model.onnx")
    classes = smooth().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    (path / "names.txt").write_text("\n".join([*NAMES, *map(str, range(classes))][:classes]) + "\n")
    (path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 255, (20, 30), np.uint8)).save(path / "photos" / name)
    arguments = ["export", str(path / "model.onnx"), "-o", str(path / "model.grad.onnx")]
    assert main([*arguments, "--classes", str(path / "names.txt")]) == 0
    return path


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def compared(*arguments: str) -> int:
        return main(["compare", str(folder / "model.grad.onnx"), str(folder / "photos"), *arguments])

    return compared


@pytest.fixture
def sheets(monkeypatch):
    """What was put on sheets."""
    from fluxpath.runtime import pictures

    made = []
    whole = pictures.contact_sheet

    def sheet(rows, headers=(), labels=(), **options):
        made.append((rows, headers, labels, options))
        return whole(rows, headers, labels, **options)

    monkeypatch.setattr(pictures, "contact_sheet", sheet)
    return made


def test_photos_are_rows_and_methods_columns(run, folder, sheets, capsys):
    options = ["--methods", "neflag,integrated-gradients", "--set", "neflag.n=3", "--target", "bee"]
    assert run(*options, "--out", "s.png", "--polarity", "both", "--size", "120") == 0
    assert capsys.readouterr().out == "s.png: 2 photos by neflag, integrated-gradients\n"
    ((rows, headers, labels, options),) = sheets
    assert list(headers) == ["photo", "neflag", "integrated-\ngradients"] and list(labels) == ["a", "b"]
    with Explainer(folder / "model.grad.onnx") as explainer:
        for i, name in enumerate(("a.png", "b.png")):
            photo = folder / "photos" / name
            for k, method in ((1, NeFLAG(n=3)), (2, IntegratedGradients())):
                result = explainer.attribute(photo, 1, method)
                drawn = result.overlay(0, Drawing(polarity="both", size=120))
                np.testing.assert_array_equal(np.asarray(rows[i][k]), np.asarray(drawn))
                assert options["captions"][i][k].startswith(f"{result.steps[0]} step")
            assert options["captions"][i][0].startswith(f"bee, honey bee {result.score[0]:.1%}")
    with Image.open("s.png") as picture:
        assert picture.width > 3 * 120 and picture.height > 2 * 120
    assert is_ours("s.png")


def test_its_own_sheet_is_written_again_and_no_file_of_others(run, capsys):
    assert run("--methods", "saliency") == 0
    assert run("--methods", "saliency") == 0
    Image.new("RGB", (3, 3)).save("sheet.png")
    before = Path("sheet.png").read_bytes()
    assert run("--methods", "saliency") == 1
    assert "fluxpath did not write it" in capsys.readouterr().err
    assert Path("sheet.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "saliency,saliency"], "name each method once"),
        (["--methods", ","], "name each method once"),
        (["--methods", "salience"], "salienc"),
        (["--set", "n=3"], "write METHOD.NAME=VALUE"),
        (["--methods", "neflag", "--set", "neflag.m=3"], "neflag has no setting 'm=3'"),
        (["--target", "dodo"], "dodo"),
        (["--target", "99"], "not a class of the model"),
        (["--out", "sheet.jpg"], "a sheet is a .png file"),
        (["--out", "no/sheet.png"], "there is no folder 'no'"),
        (["--alpha", "3"], "alpha is 3"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(run, capsys, arguments, said):
    assert run(*arguments) == 1
    error = capsys.readouterr().err.split("\r")[-1].strip()
    assert error.startswith("fluxpath: ") and said in error and "\n" not in error
    assert list(Path().iterdir()) == []


def test_a_sheet_that_nobody_could_look_at_is_refused(run, monkeypatch, capsys):
    monkeypatch.setattr(compare, "MOST_PHOTOS", 1)
    assert run() == 1
    assert "has room for 1 photos, and these are 2" in capsys.readouterr().err
