"""Arrays in .npz files and in memory."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from evaluated import NAMES, fitting, images

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data import open_data


@pytest.fixture
def opened(graph):
    fit = fitting(graph("smooth", class_names=NAMES))
    return lambda source, **options: open_data(source, fit.manifest, fit.shape, **options)


def found(data):
    return [(each.name, each.load(), each.label, each.mask()) for each in data.items()]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_the_arrays_in_it(tmp_path, opened, save):
    masks = np.random.default_rng(0).random((5, 6, 6)) > 0.5
    save(
        tmp_path / "a.npz", images=images(5), labels=np.array([0, 1, -1, 3, 2]), masks=masks, more=np.zeros(2)
    )
    data = opened(tmp_path / "a.npz")
    assert data.count == 5 and data.labelled
    for _ in range(2):
        for i, (name, image, label, mask) in enumerate(found(data)):
            assert name == f"{i:06d}" and label == (0, 1, None, 3, 2)[i]
            np.testing.assert_array_equal(image, images(5)[i])
            np.testing.assert_array_equal(mask, masks[i])


def test_photos_and_names_of_classes(tmp_path, opened):
    levels = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 1), np.uint8)
    np.savez(tmp_path / "a.npz", images=levels, labels=np.array(["ant", "bee", "3"]))
    data = opened(tmp_path / "a.npz")
    assert [label for _, _, label, _ in found(data)] == [0, 1, 3]
    np.testing.assert_allclose(found(data)[1][1][0], levels[1, :, :, 0] / 255, atol=1e-6)
    assert found(data)[0][3] is None


def test_an_archive_is_read_row_by_row(tmp_path, opened, monkeypatch):
    np.savez(tmp_path / "a.npz", images=images(50))
    read, sizes = zipfile.ZipExtFile.read, []
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: sizes.append(n) or read(self, n))
    items = opened(tmp_path / "a.npz").items()
    next(items).load()
    assert max(sizes) <= 8192 and min(sizes) >= 0


DIFFERENT = r"^the arrays of '.*a\.npz' have different lengths, 3 images and "


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": np.zeros(3)}, "it has no array 'images'"),
        ({"images": np.zeros(3)}, "npz', images: its array is float64 .*must be rows of numbers"),
        ({"images": np.array([["a"]])}, "must be rows of numbers"),
        ({"images": np.zeros((3, 1, 6, 6)), "labels": np.zeros(2)}, DIFFERENT + "2 labels"),
        ({"images": np.zeros((3, 1, 6, 6)), "masks": np.zeros((4, 6, 6))}, DIFFERENT + "4 masks"),
        ({"images": np.zeros((0, 1, 6, 6))}, "npz' holds no images"),
        ({"images": np.zeros((3, 1, 6, 6)), "masks": np.zeros((3, 6))}, "npz', masks: its array is"),
    ],
)
def test_what_is_no_archive_of_images(tmp_path, opened, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=said):
        opened(tmp_path / "a.npz")


def test_a_damaged_archive(tmp_path, opened):
    path = tmp_path / "a.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"is not an \.npz file"):
        opened(path)
    np.savez(path, images=images(2000))
    whole = bytearray(path.read_bytes())
    whole[150_000:150_004] = b"\xff\xff\xff\xff"
    path.write_bytes(whole)
    with pytest.raises(InputError, match="is damaged"):
        list(opened(path).items())


def test_a_dict_of_arrays_and_tensors(opened):
    torch = pytest.importorskip("torch")
    given = {"images": torch.tensor(images(3)), "labels": torch.tensor([2, 0, 1])}
    assert [label for _, _, label, _ in found(opened(given))] == [2, 0, 1]
    np.testing.assert_array_equal(found(opened(given))[2][1], images(3)[2])


def test_rows_of_pandas_are_found_by_their_places(opened):
    """A table that was sorted, drawn from or filtered keeps the labels of its rows, which are no places."""
    pandas = pytest.importorskip("pandas")
    masks = np.random.default_rng(0).random((3, 6, 6)) > 0.5
    for index in ([2, 0, 1], [10, 11, 12], ["a", "b", "c"], [0, 0, 0]):
        for dtype in (None, "Int64", "category"):
            data = opened({
                "images": pandas.Series(list(images(3)), index=index),
                "labels": pandas.Series([3, 1, 2], index=index, dtype=dtype),
                "masks": pandas.Series(list(masks), index=index),
            })  # fmt: skip
            assert data.count == 3
            for i, (_, image, label, mask) in enumerate(found(data)):
                assert label == (3, 1, 2)[i]
                np.testing.assert_array_equal(image, images(3)[i])
                np.testing.assert_array_equal(mask, masks[i])
    names = pandas.Series(["dog", None, "ant"], index=[1, 2, 0])
    assert [row[2] for row in found(opened({"images": images(3), "labels": names}))] == [3, None, 0]
    with pytest.raises(InputError, match="label 0"):
        opened({"images": images(3), "labels": pandas.DataFrame({"a": [1, 2, 3], "b": [0, 0, 0]})})
    series = pandas.Series(list(images(3)), index=[2, 0, 1])
    for i, (_, image, *_) in enumerate(found(opened(series))):
        np.testing.assert_array_equal(image, images(3)[i])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"images": images(3), "labels": {0: 1, 1: 2, 2: 3}}, "labels of data are {0: 1, .* arrays or lists"),
        ({"images": images(3), "labels": {1, 2, 3}}, "labels of data are {1, .* arrays or lists"),
        ({"images": images(3), "labels": "123"}, "labels of data are '123', they must be arrays or lists"),
        ({}, "must have 'images'"),
        ({"images": [], "label": []}, "must have 'images', and may have 'labels'"),
        ({"images": images(3), "labels": [1]}, "as many of each"),
        ({"images": 7}, "images of data are 7, they must be arrays or lists"),
        ({"images": np.array(7.0)}, "images of data are array"),
        ({"images": images(3), "labels": 1}, "labels of data are 1, they must be arrays or lists"),
        (7, "must be a path, a dict of arrays, or an iterable"),
    ],
)
def test_other_objects(opened, given, said):
    with pytest.raises(InputError, match=said):
        opened(given)


def test_an_iterable_has_names_and_labels(opened):
    given = [("a", images(1)[0], "cat"), ("b", images(2)[1], None)]
    data = opened(given)
    assert data.labelled and data.count == 2
    assert [(name, label) for name, _, label, _ in found(data)] == [("a", 2), ("b", None)]
    once = opened(iter(given))
    assert once.count is None and once.labelled and len(found(once)) == 2
    assert [name for name, *_ in found(opened(images(2)))] == ["000000", "000001"]
    with pytest.raises(InputError, match="element 0 of data is a tuple"):
        found(opened([(1, 2)]))
    with pytest.raises(InputError, match="element 1 of data has the name '', it must have one"):
        found(opened([("a", images(1)[0]), ("", images(1)[0])]))
    with pytest.raises(InputError, match="'a': the model has no class 'dodo'"):
        found(opened([("a", images(1)[0], "dodo")]))


def test_a_wrong_label_is_found_before_anything_is_explained(tmp_path, opened):
    np.savez(tmp_path / "a.npz", images=images(3), labels=np.array([0, 1, 4]))
    given = {"images": images(2), "labels": [1, "dodo"]}
    for source, where in ((tmp_path / "a.npz", r"a\.npz', label 2: "), (given, "'data', label 1: ")):
        with pytest.raises(InputError, match=where):
            opened(source)
