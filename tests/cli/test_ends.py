"""`fluxpath export` of models with several inputs or outputs, or open sizes: the options that settle it."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import onnx
import pytest

from fluxpath.cli import main
from fluxpath.runtime import read_manifest


def exporting(model: onnx.ModelProto, folder: Path, *options: str) -> int:
    onnx.save(model, folder / "m.onnx")
    return main(["export", str(folder / "m.onnx"), "-o", str(folder / "g.onnx"), *options])


def test_the_input_to_explain_is_named_by_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "h = Mul(x, gain) y = MatMul(h, v)"
    model = gradcheck.parse(text, "batch,6", inputs="float[batch,6] gain", v=(6, 5))
    assert exporting(model, tmp_path) == 1
    said = capsys.readouterr().err
    assert "with --input NAME" in said and "input=" not in said
    assert exporting(model, tmp_path, "--input", "gain") == 0
    assert read_manifest(tmp_path / "g.onnx").input == "gain"


def test_several_outputs_are_listed_with_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = gradcheck.parse(
        "z = MatMul(x, v) t = Tanh(z) y = MatMul(t, u)", "batch,6", outputs="z, y", v=(6, 5), u=(5, 4)
    )
    assert exporting(model, tmp_path) == 1
    said = capsys.readouterr().err
    assert said.rstrip().endswith("name the one to explain with --logits NAME")
    assert exporting(model, tmp_path, "--logits", "y") == 0


def test_open_sizes_are_given_by_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = gradcheck.parse("f = Flatten(x) y = Gemm(f, v)", "batch,3,h,w", v=(3 * 5 * 7, 5))
    assert exporting(model, tmp_path) == 1
    said = capsys.readouterr().err
    assert "--shape" in said and "shape=" not in said
    assert exporting(model, tmp_path, "--shape", "3", "5", "7") == 0
    assert read_manifest(tmp_path / "g.onnx").shape == (3, 5, 7)


def test_open_sizes_are_verified_again_at_one_that_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "c = Conv(x, k) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm(f, v)"
    model = gradcheck.parse(text, "batch,3,h,w", k=(4, 3, 40, 40), v=(4, 5))
    assert exporting(model, tmp_path) == 0
    assert main(["verify", str(tmp_path / "g.onnx")]) == 0
    assert "the gradient is right" in capsys.readouterr().out
