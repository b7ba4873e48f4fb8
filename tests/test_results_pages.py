"""docs/results.md and docs/pandas.md run as they stand there, and the columns are those of the files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
from PIL import Image

from fluxpath.cli import main
from fluxpath.runtime import Explainer
from fluxpath.runtime.records.rows import COLUMNS
from fluxpath.status import Status

pd = pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("pyarrow", reason="pyarrow, which writes Parquet files, is not installed")

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "pandas.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pandas")


@pytest.fixture(scope="module")
def names(folder):
    """What the page's code has defined in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_page(PAGE)


def run_page(page: str) -> dict:
    text = "c = AveragePool<kernel_shape=[56, 56], strides=[56, 56]>(x) f = Flatten(c) y = Gemm(f, v)"
    onnx.save(gradcheck.parse(text, "batch,3,224,224", v=(48, 6)), "model.onnx")
    Path("photos").mkdir()
    Path("classes.txt").write_text("cat\ndog\nfox\nhen\nowl\npig\n")
    rng = np.random.default_rng(0)
    for name in ("photos/001.png", "photos/002.png", "photos/cat.png", "photo.jpg"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(name)
    found: dict = {}
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(block, found)
            continue
        for line in block.splitlines() if language == "sh" else ():
            assert main(shlex.split(line)[1:]) == 0
    return found


def test_the_recipes_give_what_they_say(names, folder):
    results, lines, pictures, frame = (names[k] for k in ("results", "lines", "pictures", "frame"))
    with Explainer(folder / "model.grad.onnx") as explainer:
        result = explainer.attribute(folder / "photos")
    assert list(results.name) == list(lines.name) == list(pictures.name) == ["001.png", "002.png", "cat.png"]
    assert len(frame) == 3 and frame.status.isin(results.status).all()
    assert names["attribution"].shape == (3, 224, 224) and names["attribution"].dtype == np.float32
    np.testing.assert_array_equal(names["attribution"], result.values[0])
    for table in (results, lines, pictures):
        np.testing.assert_allclose(table.probability, result.score, rtol=1e-6)
        np.testing.assert_allclose(table.error_rate, result.error_rate, rtol=1e-6)
        assert table.class_name.tolist() == [explainer.manifest.class_names[t] for t in result.target]
        assert table.status.tolist() == results.status.tolist() == lines.status.tolist()
    assert lines.method.str.startswith("MFABA(ascent='sharp'").all()


def test_a_frame_of_names_and_numbers_keeps_its_types(names):
    results = names["results"]
    assert results.target.dtype == np.int64 and results.steps.dtype == np.int32
    assert results.probability.dtype == np.float32 and results.error_rate.dtype == np.float64
    assert all(isinstance(text, str) for text in results.status)


def test_every_column_is_explained(names):
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert explained == {"name", *COLUMNS, "shape", "values"} == set(names["results"].columns)
    assert explained - {"values"} <= set(names["lines"].columns)


def test_the_page_of_results_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run_page((DOCS / "results.md").read_text(encoding="utf-8"))
    printed = capsys.readouterr().out
    assert "2 images of shape [3, 224, 224] explained with mfaba-sharp\n" in printed
    assert f"BOUNDARY {Status.BOUNDARY.meaning}" in printed
    assert [path.name for path in names["files"]] == ["photo.png", "cat.png"]
    for file in ("overlay.png", "card.png", "cards/cat.png", "heatmaps/cat.png", "best/cat-top3.png"):
        with Image.open(file) as picture:
            assert picture.width >= 224
    with Image.open("sheet.png") as sheet, Image.open("overlay.png") as overlay:
        assert sheet.width > 4 * overlay.width and sheet.height > 2 * overlay.height
