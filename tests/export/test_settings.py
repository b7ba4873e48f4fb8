"""One list of what can be chosen at export."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import onnx
import pytest
import small

from fluxpath.export import attribution_from_onnx, gradient_from_onnx, gradient_from_torch
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
