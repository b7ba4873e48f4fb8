"""One list of what can be chosen at export."""

from __future__ import annotations

import inspect
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import get_type_hints

import numpy as np
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


@pytest.mark.parametrize(
    "names",
    [
        range(5),
        [None] * 5,
        dict.fromkeys("abcde", "x"),
        set("abcde"),
        "abcde",
        (n for n in "abcde"),
        ["a", 1],
        5,
    ],
)
def test_class_names_are_a_list_of_texts(names: object) -> None:
    with pytest.raises(ModelError, match="must be a list with the name of each class, of type str"):
        Settings(class_names=names)  # type: ignore[arg-type]
    for good in (list("abcde"), tuple("abcde"), np.array(list("abcde"))):
        Settings(class_names=good)


def test_a_mean_lies_in_the_range() -> None:
    levels = {"mean": (123.0, 117.0, 104.0), "std": (58.0, 57.0, 57.0)}
    with pytest.raises(
        ModelError,
        match=r"outside the input's range of 0 to 1: of levels from 0 to 255 say so by input_range=",
    ):
        Settings(**levels)
    with pytest.raises(
        ModelError, match="outside the input's range of 0 to 1: both are in units of the input"
    ):
        Settings(mean=(-0.5,), std=(1.0,))
    Settings(input_range=(0, 255), **levels)
    Settings(input_range=None, **levels)


@pytest.mark.parametrize(
    ("baseline", "said"), [(np.zeros(1, np.uint8), "dtype uint8"), (2.0, "baseline is 2")]
)
def test_deeplifts_baseline_lies_in_the_range(baseline: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Settings(objective="logit", rules="deeplift", baseline=baseline).baseline_in((1,))
