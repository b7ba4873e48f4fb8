"""Masks in a folder are found by their images' names."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import fitting
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data import open_data
from fluxpath.runtime.evaluation.data.masks import Masks


@pytest.fixture
def fit(graph):
    return fitting(graph("smooth"))


def save(path, value=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 6), value, np.uint8)).save(path)


def test_a_mask_has_the_path_or_the_name_of_its_image(fit, tmp_path):
    save(tmp_path / "cats" / "a.png")
    save(tmp_path / "b.png", 0)
    masks = Masks(tmp_path, fit)
    assert masks.of("cats/a.jpg")().all() and not masks.of("b.jpg")().any()
    assert not masks.of("deep/in/b.jpg")().any() and masks.of("c.jpg")() is None
    assert masks.of("a.jpg")() is None


def test_masks_of_other_images_are_an_error(fit, tmp_path):
    save(tmp_path / "photos" / "x.png")
    save(tmp_path / "masks" / "y.png")
    with pytest.raises(InputError, match=r"no picture in .*masks' is named like an image"):
        open_data(tmp_path / "photos", fit.manifest, fit.shape, masks=tmp_path / "masks")
    save(tmp_path / "masks" / "x.png")
    data = open_data(tmp_path / "photos", fit.manifest, fit.shape, masks=tmp_path / "masks")
    assert next(data.items()).mask().all()


def test_a_damaged_mask_is_the_images_failure(fit, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a\.png"):
        Masks(tmp_path, fit).of("a.jpg")()


def test_no_folder_is_no_mask(fit, tmp_path):
    assert not Masks(None, fit) and Masks(None, fit).of("a")() is None
    with pytest.raises(InputError, match="no image or folder"):
        Masks(tmp_path / "missing", fit)
