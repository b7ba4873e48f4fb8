"""Open sizes are settled by the caller, or by how the file crops photos; further inputs follow."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fluxpath.cli._common import in_options
from fluxpath.errors import InputError
from fluxpath.manifest import Companion, Manifest
from fluxpath.preprocessing import Preprocessing
from fluxpath.runtime.preparation.sizes import companion_shapes, resolved_shape

OPEN = Manifest(
    input="x", shape=(3, None, None), classes=3, objective="softmax", opset=20, source="none", logits="z"
)
TEXT = dataclasses.replace(
    OPEN,
    shape=(None, 8),
    companions=(Companion("mask", "int64", (None,)), Companion("age", "float32", ())),
)


def test_who_settles_an_open_size() -> None:
    assert resolved_shape(OPEN, (3, 8, 9)) == (3, 8, 9)
    cropping = dataclasses.replace(OPEN, preprocessing=Preprocessing(9, (5, 6)))
    assert resolved_shape(cropping, None) == (3, 5, 6)
    assert companion_shapes(TEXT, (7, 8)) == {"mask": ((7,), "int64"), "age": ((), "float32")}


def test_on_the_command_line_an_open_size_is_settled_by_the_export() -> None:
    with pytest.raises(InputError) as caught:
        resolved_shape(OPEN, None)
    assert in_options(str(caught.value)).endswith("settle it by an export with --crop or --shape")


def test_sizes_of_numpy_are_sizes() -> None:
    assert repr(resolved_shape(OPEN, tuple(np.array([3, 8, 9])))) == "(3, 8, 9)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "open where it says None: settle it by shape="),
        ((4, 8, 9), r"shape is \(4, 8, 9\), and the model's input has shape"),
        ((3, 8), "and the model's input has shape"),
        ("large", "it must be the sizes of one input"),
        ((3, 8.0, 9), "it must be the sizes of one input"),
    ],
)
def test_sizes_that_do_not_fit(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolved_shape(OPEN, given)


def test_a_further_input_with_a_size_of_its_own() -> None:
    manifest = dataclasses.replace(OPEN, shape=(3, 8, 8), companions=(Companion("m", "bool", (None,)),))
    with pytest.raises(InputError, match="does not determine that size"):
        companion_shapes(manifest, (3, 8, 8))
