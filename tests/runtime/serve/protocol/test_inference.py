"""A request's tensors, sorted."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.inference import Inference, sorted_inputs
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.settings import Settings

SETTINGS = Settings()
IMAGE = np.zeros((2, 1, 6, 6), np.float32)


@pytest.fixture(scope="module")
def served(smooth):
    return Served("m", "1", smooth, SETTINGS)


def given(served, parameters=None, **inputs):
    named = {name: tensors.of(name, value) for name, value in inputs.items()}
    return sorted_inputs(served, Inference("m", "", named, 0.0, "", parameters or {}), SETTINGS)


def test_images_as_numbers_levels_and_files(served):
    assert given(served, image=IMAGE).count == 2
    assert given(served, image=IMAGE[0]).count == 1
    assert given(served, image=IMAGE.astype(np.float16)).ready.dtype == np.float32
    assert given(served, image=np.zeros((3, 9, 9, 1), np.uint8)).count == 3
    assert given(served, image=np.zeros((9, 9, 1), np.uint8)).count == 1
    assert given(served, image=[b"a", b"b"]).photos == [b"a", b"b"]


def test_one_target_is_for_all_and_names_are_texts(served):
    assert given(served, image=IMAGE, target=np.array([3])).target == [3, 3]
    assert given(served, image=IMAGE, target=np.array([[1], [2]])).target == [1, 2]
    assert given(served, image=IMAGE, target=[b"cat"] * 2).target == ["cat", "cat"]


def test_settings_that_are_arrays(served):
    found = given(served, {"method": "integrated-gradients"}, image=IMAGE, baseline=np.zeros((1, 6, 6)))
    assert list(found.settings) == ["baseline"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "there is no image"),
        ({"image": np.zeros(3, np.int64)}, "must be FP32, UINT8 or BYTES"),
        ({"image": IMAGE, "other": IMAGE}, "no input 'other'"),
        ({"image": IMAGE, "target": np.zeros(2)}, "must be INT64"),
        ({"image": IMAGE, "target": [b"\xff", b"a"]}, "is no text"),
    ],
)
def test_what_is_wrong(served, inputs, said):
    with pytest.raises(InputError, match=said):
        given(served, **inputs)
