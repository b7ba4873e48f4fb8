"""The form of data is found by what is there; tests of each form are beside this one."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import fitting, images
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data import open_data


@pytest.fixture
def opened(graph):
    fit = fitting(graph("smooth"))
    return lambda source, **options: open_data(source, fit.manifest, fit.shape, **options)


def test_one_photo(opened, tmp_path):
    Image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / "a.png")
    (one,) = opened(tmp_path / "a.png").items()
    assert one.name == "a.png" and one.load().shape == (1, 6, 6)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.npy"])
def test_other_files(opened, tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"is neither a folder of photos, a photo, nor one of"):
        opened(tmp_path / name)


def test_nothing_there(opened, tmp_path):
    with pytest.raises(InputError, match="there are no data at"):
        opened(tmp_path / "none")
    with pytest.raises(InputError, match="the data is empty"):
        opened("")
    with pytest.raises(InputError, match="holds no image"):
        opened(tmp_path)


def test_a_list_of_splits_that_is_none(opened, tmp_path):
    (tmp_path / "dataset_dict.json").write_text("[]")
    with pytest.raises(InputError, match="does not name a data set's splits"):
        opened(tmp_path)


def test_features_are_data_too(graph):
    """A model of vectors takes arrays, and no photos."""
    fit = fitting(graph("relu"))
    given = {"images": np.zeros((2, *fit.shape), np.float32)}
    assert len(list(open_data(given, fit.manifest, fit.shape).items())) == 2
    assert images(1).shape == (1, 1, 6, 6)
