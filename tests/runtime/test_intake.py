"""What callers pass as target and method, through every way in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sessions import CLASSES, Predicting, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer, NeFLAG

NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def explainer():
    session = Predicting()
    session.manifest = dataclasses.replace(session.manifest, class_names=NAMES)
    with Explainer.from_session(session, slots=4) as opened:
        yield opened


def test_targets_by_name(explainer):
    images = some_images(3)
    expected = explainer.attribute(images, [2, 0, 1]).values
    for target in (["cat", "ant", "bee"], ["cat", 0, "bee"], np.array(["cat", "ant", "bee"])):
        np.testing.assert_array_equal(explainer.attribute(images, target).values, expected)
        np.testing.assert_array_equal(explainer.submit(images, target).result(20).values, expected)
    with pytest.raises(InputError, match="no class 'cats', the nearest are 'cat'"):
        explainer.submit(images, "cats")


def test_a_bulk_run_takes_names_too(explainer, tmp_path):
    images = some_images(3)
    items = [("a", images[0], "cat"), ("b", images[1]), ("c", images[2], "dog")]
    summary = explainer.attribute_many(items, tmp_path / "out.npz", target="bee", method="saliency")
    assert list(summary.failures) == ["c"] and "the model has no class 'dog'" in summary.failures["c"]
    with np.load(tmp_path / "out.npz") as file:
        assert file["target"].tolist() == [2, 1]
    with pytest.raises(InputError, match="no class 'dog'"):
        explainer.attribute_many(items, tmp_path / "other.npz", target="dog")


def test_the_kth_best_class(explainer):
    images = some_images(6)
    found = explainer.predict(images, top=CLASSES)
    for k in range(1, CLASSES + 1):
        result = explainer.attribute(images, top=k, method="saliency")
        np.testing.assert_array_equal(result.target, found.classes[:, k - 1])
        np.testing.assert_array_equal(result.label, found.classes[:, 0])
    for wrong, said in (({"top": 0}, "top is 0"), ({"top": CLASSES + 1}, "from 1 to 3")):
        with pytest.raises(InputError, match=said):
            explainer.submit(images, **wrong)
    with pytest.raises(InputError, match="target and top each say which class"):
        explainer.submit(images, 1, top=2)


def test_methods_by_name(explainer):
    images = some_images(3)
    for name, method in (("mfaba-smooth", MFABA("smooth")), ("neflag", NeFLAG()), (None, MFABA())):
        np.testing.assert_array_equal(
            explainer.attribute(images, method=name).values, explainer.attribute(images, method=method).values
        )
    with pytest.raises(InputError, match="there is no method 'neflog': the nearest are neflag"):
        explainer.submit(images, method="neflog")
