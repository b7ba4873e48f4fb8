"""What callers pass as target and method, through every way in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sessions import CLASSES, Predicting, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import (
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    IntegratedGradients,
    NeFLAG,
)

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


@pytest.mark.parametrize(
    "made",
    [
        lambda image: IntegratedGradients(4, baseline=image),
        lambda image: ExpectedGradients(np.stack([image, image])),
        lambda image: LPI(image[None], steps=4),
    ],
)
def test_a_methods_inputs_are_in_the_models_range(made):
    """As images are: in its bounds but for rounding, and no bytes, which are a photo's levels."""
    image = some_images(1)[0]
    session = Predicting()
    session.manifest = dataclasses.replace(session.manifest, low=0.0, high=1.0)
    with Explainer.from_session(session, slots=4) as bounded:
        bounded.attribute(image, method=made(image * np.float32(0.999)))
        bounded.attribute(image, method=made(np.full_like(image, 1 + 2e-7)))
        said = r"has values from .*, and the model's input from 0\.0 to 1\.0"
        with pytest.raises(InputError, match=said):
            bounded.attribute(image, method=made(image + 9))
        with pytest.raises(InputError, match=said):
            bounded.attribute_many([image], "none.npz", method=made(image + 9))
    session.manifest = dataclasses.replace(session.manifest, low=None, high=None)
    with Explainer.from_session(session, slots=4) as unbounded:
        unbounded.attribute(image, method=made(image + 9))
    with pytest.raises(InputError, match="has dtype uint8, a photo's levels, and must be in the range"):
        made((image * 255).astype(np.uint8))


@pytest.mark.parametrize("method", [IntegratedGradients(4, baseline=9.0), GuidedIG(4, baseline=-0.5)])
def test_a_number_as_baseline_is_in_the_range_too(method):
    session = Predicting()
    session.manifest = dataclasses.replace(session.manifest, low=0.0, high=1.0)
    with (
        Explainer.from_session(session, slots=4) as bounded,
        pytest.raises(InputError, match=r"baseline is (9|-0\.5), and the model's input from 0\.0 to 1\.0"),
    ):
        bounded.attribute(some_images(1), method=method)


def test_methods_by_name(explainer):
    images = some_images(3)
    for name, method in (("mfaba-smooth", MFABA("smooth")), ("neflag", NeFLAG()), (None, MFABA())):
        np.testing.assert_array_equal(
            explainer.attribute(images, method=name).values, explainer.attribute(images, method=method).values
        )
    with pytest.raises(InputError, match="there is no method 'neflog': the nearest is neflag"):
        explainer.submit(images, method="neflog")
