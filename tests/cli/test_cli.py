"""The command line as a user meets it: the whole road, and one sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import relu, smooth
from PIL import Image

from fluxpath.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its class names, three photos and a gradient graph that the command line wrote."""
    path = tmp_path_factory.mktemp("cli")
    onnx.save(smooth(), path / "model.onnx")
    onnx.save(relu(), path / "pooling.onnx")
    classes = smooth().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    (path / "names.txt").write_text("\n".join(f"class {i}" for i in range(classes)) + "\n")
    (path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.jpg"):
        Image.fromarray(rng.integers(0, 255, (20, 30), np.uint8)).save(path / "photos" / name)
    arguments = ["export", str(path / "model.onnx"), "-o", str(path / "model.grad.onnx")]
    assert main([*arguments, "--classes", str(path / "names.txt")]) == 0
    return path


def test_export_says_what_it_wrote(folder, capsys):
    out = folder / "again.grad.onnx"
    assert main(["export", str(folder / "model.onnx"), "-o", str(out), "--objective", "logit"]) == 0
    printed = capsys.readouterr().out
    assert str(out) in printed
    assert "of float64" in printed
    assert main(["info", str(out)]) == 0
    assert "objective      logit" in capsys.readouterr().out


def test_precision_is_in_the_manifest(folder, capsys):
    out = folder / "half.grad.onnx"
    arguments = ["export", str(folder / "pooling.onnx"), "-o", str(out)]
    assert main([*arguments, "--precision", "float16"]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "precision      float16" in capsys.readouterr().out


def test_info_shows_manifest_and_cost(folder, capsys):
    assert main(["info", str(folder / "model.grad.onnx")]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["objective"] == "softmax"
    assert "class 0, class 1" in lines["class"]
    assert "FLOP" in lines["arithmetic"]
    assert "Gemm" in lines["operators"]


def test_verify_at_random_and_at_given_images(folder, tmp_path, capsys):
    assert main(["verify", str(folder / "model.grad.onnx")]) == 0
    assert "the gradient is right" in capsys.readouterr().out
    shape = [d.dim_value for d in smooth().graph.input[0].type.tensor_type.shape.dim[1:]]
    np.savez(tmp_path / "images.npz", images=np.random.default_rng(0).integers(0, 255, (4, *shape), np.uint8))
    arguments = ["verify", str(folder / "model.grad.onnx"), "--data", str(tmp_path / "images.npz")]
    assert main(arguments) == 0
    assert "the gradient is right" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["mfaba-sharp", "mfaba-smooth", "neflag"])
def test_explain_a_folder(folder, tmp_path, capsys, method):
    out = tmp_path / "heat"
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), "--npy"]
    assert main([*arguments, "--method", method, "--out", str(out), "--set", "max_steps=3"]) == 0
    names = sorted(p.name for p in out.iterdir())
    assert names == ["a-2.npy", "a-2.png", "a.npy", "a.png", "b.npy", "b.png"]
    assert np.isfinite(np.load(out / "a.npy")).all()
    printed = capsys.readouterr().out
    assert "class " in printed
    assert printed.count(".png") >= 3


def test_demo(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="the demo's digits are scikit-learn's")
    assert main(["demo", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert {"digits.grad.onnx", "digits.png"} <= {p.name for p in tmp_path.iterdir()}
    assert "neflag" in printed
    with Image.open(tmp_path / "digits.png") as sheet:
        assert sheet.width > sheet.height > 300


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "none.onnx", "-o", "x.onnx"], "there is no model file"),
        (["export", "{model}", "-o", "x.onnx", "--objective", "fun"], "there is no objective 'fun'"),
        (["export", "{model}", "-o", "x.onnx", "--precision", "int8"], "there is no precision 'int8'"),
        (["export", "{model}", "-o", "none/x.onnx"], "cannot write to the folder"),
        (["export", "{model}", "-o", "x.onnx", "--mean", "0.5"], "mean and std go together"),
        (["export", "{model}", "-o", "x.onnx", "--classes", "none.txt"], "cannot read class names"),
        (["info", "none.onnx"], "there is no gradient graph"),
        (["info", "{model}"], "no intact gradient graph"),
        (["verify", "{model}"], "no intact gradient graph"),
        (["verify", "{graph}", "--data", "{model}"], "not an .npz file"),
        (["explain", "{graph}", "none.png"], "none.png"),
        (["explain", "{graph}", "{model}"], "not an image"),
        (["explain", "{graph}", "{photos}", "--target", "99"], "no class of the model"),
        (["explain", "{graph}", "{photos}", "--set", "steps=3"], "has no setting 'steps=3'"),
        (["explain", "{graph}", "{photos}", "--set", "max_steps=0"], "max_steps is 0"),
        (["explain", "{graph}", "{photos}", "--device", "tpu"], "tpu"),
        (["explain", "{graph}", "."], "holds no image"),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "",
)
def test_a_mistake_is_one_sentence(folder, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    named = {"model": folder / "model.onnx", "graph": folder / "model.grad.onnx", "photos": folder / "photos"}
    assert main([a.format(**named) for a in arguments]) == 1
    error = capsys.readouterr().err.split("\r")[-1].strip()
    assert error.startswith("fluxpath: ")
    assert sentence in error
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir() if p.name != "heatmaps"] == []


def test_deeplift_from_the_command_line(folder, tmp_path, capsys):
    out = tmp_path / "lifted.onnx"
    arguments = ["export", str(folder / "pooling.onnx"), "-o", str(out), "--objective", "logit"]
    np.save(tmp_path / "grey.npy", np.full((2, 8, 8), 0.5, np.float32))
    assert main([*arguments, "--rules", "deeplift", "--baseline", str(tmp_path / "grey.npy")]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "deeplift" in capsys.readouterr().out
    assert main([*arguments, "--baseline", "0.5"]) != 0
    assert "add --rules deeplift" in capsys.readouterr().err
    assert main([*arguments, "--rules", "deeplift", "--baseline", "missing.npy"]) != 0
    assert "neither a number" in capsys.readouterr().err
