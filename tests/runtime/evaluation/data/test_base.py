"""Images, labels and masks fit the model, or an error says which does not."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from evaluated import NAMES, fitting, images
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data.base import stamp_of


@pytest.fixture(scope="module")
def fit(graph):
    return fitting(graph("smooth", class_names=NAMES))


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (2, 2), (np.int64(1), 1), ("cat", 2), ("bee", 1), ("3", 3), (2.0, 2), (np.str_("dog"), 3),
        (None, None), ("", None), (-1, None), (float("nan"), None),
        ("-1", None), (" -1 ", None), ("-1.0", None), (-1.0, None), (" ", None), (np.int64(-1), None),
        ("3.0", 3), ("0.00", 0), (" 2.0", 2), ("2", 2),
    ],
)  # fmt: skip
def test_a_label_is_a_number_a_name_or_none(fit, given, number):
    assert fit.label(given, "here") == number


@pytest.mark.parametrize(
    "given",
    [4, "dodo", 1.5, -2, b"cat", [1], "-2", "4", "4.0", "1.5", "3.", ".0", "nan", True, np.zeros(2)],
)
def test_a_wrong_label_is_named_with_its_place(fit, given):
    with pytest.raises(InputError, match=r"^row 7: "):
        fit.label(given, "row 7")


def test_a_class_named_like_a_number_goes_first(graph):
    fit = fitting(graph("smooth", class_names=("-1", "3.0", "1", "0")))
    assert [fit.label(each, "here") for each in ("-1", "3.0", "1", "0", "3")] == [0, 1, 2, 3, 3]


def test_gaps_of_pandas_are_no_labels(fit):
    pandas = pytest.importorskip("pandas")
    for gap in (pandas.NA, pandas.Series([None, 1], dtype="Int64")[0], pandas.Series([None, 1.5])[0]):
        assert fit.label(gap, "here") is None


def test_images_are_checked(fit):
    image = images(1)[0]
    np.testing.assert_array_equal(fit.image(image, "a"), image)
    levels = np.round(image[0] * 255).astype(np.uint8)
    np.testing.assert_allclose(fit.image(levels, "a")[0], levels / 255, atol=1e-6)
    for wrong in (np.zeros((1, 5, 5), np.float32), np.full((1, 6, 6), 2, np.float32), image.astype(int)):
        with pytest.raises(InputError, match="a: "):
            fit.image(wrong, "a")


def test_a_mask_is_what_is_bright(fit, tmp_path):
    wanted = np.zeros((6, 6), bool)
    wanted[1:3, 2:] = True
    for given in (wanted, wanted.astype(np.uint8), 255 * wanted.astype(np.uint8), wanted[None], wanted * 0.7):
        np.testing.assert_array_equal(fit.mask(given, "m"), wanted)
    for scale in (1, 3):
        Image.fromarray(255 * np.kron(wanted, np.ones((scale, scale), np.uint8))).save(tmp_path / "m.png")
        np.testing.assert_array_equal(fit.mask(tmp_path / "m.png", "m"), wanted)
    assert not fit.mask(np.zeros((6, 6)), "m").any()
    assert not fit.mask(np.full((6, 6), 0.3), "m").any() and fit.mask(np.full((6, 6), 0.5), "m").all()
    np.testing.assert_array_equal(fit.mask(np.kron(wanted, np.ones((2, 2))) * 0.4 + 0.3, "m"), wanted)
    np.testing.assert_array_equal(fit.mask(wanted * 255.0 + 3.0, "m"), wanted)
    for wrong in (np.zeros(6), np.zeros((2, 6, 6)), np.array([["a"]])):
        with pytest.raises(InputError, match=r"the mask of 'm' is .* and must be \[h, w\]"):
            fit.mask(wrong, "m")


def test_a_mask_is_cropped_as_its_photo_is(graph):
    """The photo 12 x 6 is cut to its middle: so is the mask."""
    fit = fitting(graph("smooth"))
    mask = np.zeros((6, 12), bool)
    mask[:, 5:] = True
    expected = np.zeros((6, 6), bool)
    expected[:, 2:] = True
    np.testing.assert_array_equal(fit.mask(mask, "m"), expected)


def test_a_stamp_tells_one_from_another(tmp_path):
    torch = pytest.importorskip("torch")
    image, other = images(2)
    picture = Image.fromarray(np.zeros((6, 6), np.uint8))
    for one, changed in (
        (image, other), (image, image.astype(float)), (image, image[0]), (image.tolist(), other.tolist()),
        (torch.tensor(image, requires_grad=True), torch.tensor(other)), (b"one", b"other"), (7, 8),
        (picture, picture.point(lambda level: level + 1)), (bytearray(b"one"), memoryview(b"two")),
    ):  # fmt: skip
        assert stamp_of(one) == stamp_of(one) != stamp_of(changed) != ""
    assert stamp_of(image, None) != stamp_of(image, other)
    path = tmp_path / "a.png"
    picture.save(path)
    stamp = stamp_of(path)
    assert stamp == stamp_of(str(path)) == stamp_of(path)
    os.utime(path, ns=(1, 1))
    assert stamp_of(path) != stamp
    for unread in (tmp_path / "none", "\0", io.BytesIO(b"x"), None, object(), [[1], [1, 2]]):
        assert stamp_of(unread) == ""
