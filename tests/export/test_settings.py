"""One list of what can be chosen at export."""

from __future__ import annotations

import inspect
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import get_type_hints

import onnx
import pytest
import small

from fluxpath.artifact import read_manifest
from fluxpath.errors import ModelError
from fluxpath.export import Preprocessing, attribution_from_onnx, gradient_from_onnx, gradient_from_torch
from fluxpath.export.settings import Options, Settings

NAMES = [field.name for field in fields(Settings)]


def test_type_checkers_are_told_the_same_names_and_types() -> None:
    assert list(get_type_hints(Options).items()) == list(get_type_hints(Settings).items())


@pytest.mark.parametrize("function", [gradient_from_onnx, gradient_from_torch, attribution_from_onnx])
def test_signatures_show_every_setting_and_its_default(function: object) -> None:
    shown = inspect.signature(function).parameters
    assert list(shown)[-len(NAMES) :] == NAMES
    assert all(shown[field.name].default == field.default for field in fields(Settings))


def test_a_setting_that_there_is_not_is_a_type_error(tmp_path: Path) -> None:
    onnx.save(small.cnn(), tmp_path / "m.onnx")
    with pytest.raises(TypeError, match="objectiv"):
        gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", objectiv="logit")
    with pytest.raises(TypeError):
        gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", "logit")


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
def test_how_photos_become_inputs_is_written(tmp_path: Path, suffix: str) -> None:
    path, how = tmp_path / f"g.grad{suffix}", Preprocessing(6, 4, "lanczos")
    if suffix == ".onnx":
        onnx.save(small.cnn(), tmp_path / "m.onnx")
        export = partial(gradient_from_onnx, tmp_path / "m.onnx", path)
    else:
        torch = pytest.importorskip("torch")
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        export = partial(gradient_from_torch, module, torch.zeros(1, 3, 4, 4), path)
    assert export(preprocessing=how).manifest.preprocessing == how
    assert read_manifest(path).preprocessing == how
    for wrong, said in (
        (Preprocessing(crop=5), r"crop is \[5, 5\], and the model takes inputs of shape \[3, 4, 4\]"),
        (Preprocessing(resize=3), "resize is 3, less than the 4 pixels"),
        ({"resize": 6}, r"it must be fluxpath\.export\.Preprocessing"),
    ):
        with pytest.raises(ModelError, match=said):
            export(preprocessing=wrong)
