"""Folders of photos, and a folder for each class."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import NAMES, fitting
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data.folders import folder_data
from fluxpath.runtime.evaluation.data.masks import Masks


@pytest.fixture
def opened(graph, tmp_path):
    fit = fitting(graph("smooth", class_names=NAMES))

    def open_folder(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((6, 6), np.uint8)).save(path)
        return folder_data(tmp_path, fit, Masks(None, fit))

    return open_folder


def labels(data):
    return {each.name: each.label for each in data.items()}


def test_a_heap_has_no_labels(opened):
    data = opened("b.png", "a.jpg")
    assert labels(data) == {"a.jpg": None, "b.png": None} and not data.labelled and data.count == 2
    assert next(data.items()).load().shape == (1, 6, 6)


@pytest.mark.parametrize("folders", [("ant", "bee", "dog"), ("0", "1", "3")])
def test_folders_are_named_after_classes(opened, folders):
    data = opened(*(f"{folder}/x.png" for folder in folders), f"{folders[0]}/deep/y.png")
    assert data.labelled and not data.note
    assert labels(data) == dict(
        zip([f"{folders[0]}/deep/y.png", *(f"{f}/x.png" for f in folders)], (0, 0, 1, 3), strict=True)
    )


def test_other_folders_have_no_labels_and_that_is_said(opened):
    data = opened("monday/x.png", "tuesday/y.png")
    assert not data.labelled and "is named after a class, so the photos have no labels" in data.note


@pytest.mark.parametrize("more", ["unsorted/y.png", "y.png"])
def test_some_of_both_is_an_error(opened, more):
    with pytest.raises(InputError, match="either every photo is in a folder named after its class, or none"):
        opened("ant/x.png", more)


def test_splits_are_named(opened):
    with pytest.raises(InputError, match="holds the splits test, train of a data set: name one"):
        opened("train/ant/x.png", "test/ant/x.png")


def test_a_damaged_photo_fails_when_it_is_read(opened, tmp_path):
    opened("a.png")
    (tmp_path / "b.png").write_bytes(b"no photo")
    bad = list(opened().items())[1]
    with pytest.raises(InputError, match=r"b\.png"):
        bad.load()
