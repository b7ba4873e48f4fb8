"""`fluxpath verify --precision` and `--against`: what half precision costs, as a user asks for it."""

from __future__ import annotations

import models
import numpy as np
import pytest
from PIL import Image

from fluxpath.cli import main


def figures(capsys):
    """The table's rows: name, then figures."""
    lines = capsys.readouterr().out.splitlines()
    rows = lines[next(i for i, line in enumerate(lines) if line.startswith("---")) + 1 : -2]
    return lines[0], {row.rsplit(maxsplit=7)[0]: row.split()[-7:] for row in rows}


def test_emulated_on_noise_which_is_said(graph, capsys):
    assert main(["verify", str(graph("smooth")), "--precision", "float16,bfloat16"]) == 0
    first, rows = figures(capsys)
    assert "16 images of noise" in first
    assert list(rows) == ["float16, emulated", "bfloat16, emulated"]
    assert 0 < float(rows["float16, emulated"][0]) < float(rows["bfloat16, emulated"][0]) < 0.3


def test_a_file_in_half_precision_at_the_users_images(graph, tmp_path, capsys):
    np.savez(tmp_path / "images.npz", images=models.images("relu", 6))
    half = graph("relu", precision="float16")
    arguments = ["verify", str(graph("relu")), "--data", str(tmp_path / "images.npz"), "--images", "5"]
    assert main([*arguments, "--against", str(half), str(graph("relu")), "--method", "saliency"]) == 0
    first, rows = figures(capsys)
    assert "5 images from" in first and "with saliency" in first
    assert float(rows[str(half)][2]) > 0
    assert rows[str(graph("relu"))] == ["0.0e+00"] * 3 + ["1.0000"] * 3 + ["100%"]


def test_photos_from_a_folder(graph, tmp_path, capsys):
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 255, (9, 9), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    assert main(["verify", str(graph("smooth")), "--data", str(tmp_path), "--precision", "bfloat16"]) == 0
    assert "3 images from" in figures(capsys)[0]
    assert main(["verify", str(graph("smooth")), "--data", str(tmp_path)]) == 0
    assert "the gradient is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["{float}", "--precision", "int4"], "there is no half precision 'int4'"),
        (["{float}", "--precision", ""], "there is no half precision ''"),
        (["{half}", "--precision", "float16"], "name the float32 file first, and this one after --against"),
        (["{float}", "--against", "none.onnx"], "there is no gradient graph 'none.onnx'"),
        (["{float}", "--precision", "float16", "--images", "0"], "--images is 0, and must be 1 or more"),
        (["{float}", "--precision", "float16", "--set", "n=1"], "mfaba-sharp has no setting 'n=1'"),
        (["{float}", "--data", "none.npz"], "nor a folder"),
    ],
)
def test_a_mistake_is_one_sentence(graph, tmp_path, monkeypatch, capsys, options, sentence):
    monkeypatch.chdir(tmp_path)
    named = {"float": graph("smooth"), "half": graph("smooth", precision="float16")}
    assert main(["verify", *(o.format(**named) for o in options)]) == 1
    error = capsys.readouterr().err.split("\r")[-1].strip()
    assert sentence in error and "\n" not in error
