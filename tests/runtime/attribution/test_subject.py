"""What was explained comes with the result: the images, the method, the model's names and probabilities."""

from __future__ import annotations

import gc
import math
import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest
from sessions import FEATURES, LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, NeFLAG
from fluxpath.runtime.attribution.subject import (
    are_pictures,
    class_name,
    measure,
    need_pictures,
    probability,
    unit,
)


@pytest.mark.parametrize("method", [MFABA(max_steps=3), NeFLAG(n=2), IntegratedGradients(steps=3)])
def test_a_result_knows_what_was_explained(method):
    images = some_images(5)
    session = LinearSession()
    for result in (explain(session, images, method), explain(session, images, method, slots=2)):
        np.testing.assert_array_equal(result.subject.images, images)
        assert result.subject.method == method and result.subject.manifest is session.manifest
    with Explainer.from_session(session) as explainer:
        one = explainer.submit(images[3], method=method).result()
    np.testing.assert_array_equal(one.subject.images, images[3:4])


def test_what_attribute_was_given_is_not_copied_and_what_submit_was_given_is():
    images = some_images(2)
    with Explainer.from_session(LinearSession()) as explainer:
        kept = explainer.attribute(images).subject.images
        copied = explainer.submit(images).result().subject.images
    assert np.shares_memory(kept, images) and not np.shares_memory(copied, images)


def test_a_result_that_is_let_go_holds_no_image():
    with Explainer.from_session(LinearSession()) as explainer:
        result = explainer.submit(some_images(1)).result()
        images = weakref.ref(result.subject)
        del result
        explainer.submit(some_images(1)).result()
        gc.collect()
    assert images() is None


def test_a_result_can_be_pickled():
    result = explain(LinearSession(), some_images(2), MFABA(max_steps=2))
    again = pickle.loads(pickle.dumps(result))
    assert repr(again) == repr(result) and again.subject.manifest == result.subject.manifest


def test_a_class_has_its_name_or_else_its_number():
    manifest = replace(LinearSession().manifest, class_names=("cat", "dog", "é<b>"))
    assert [class_name(manifest, i) for i in (0, 2, 3, -1)] == ["cat", "é<b>", "3", "-1"]
    assert class_name(None, 7) == class_name(replace(manifest, class_names=None), 7) == "7"


@pytest.mark.parametrize(
    ("objective", "score", "chance", "words"),
    [
        ("softmax", 0.831, 0.831, "83.1%"),
        ("sigmoid", 0.5, 0.5, "50.0%"),
        ("log_softmax", -math.log(4), 0.25, "25.0%"),
        ("logit", 4.25, math.nan, "logit 4.25"),
        ("margin", -2.0, math.nan, "margin -2"),
        ("softmax", math.nan, math.nan, "softmax nan"),
    ],
)
def test_a_score_is_a_probability_where_the_objective_gives_one(objective, score, chance, words):
    manifest = replace(LinearSession().manifest, objective=objective)
    np.testing.assert_allclose(probability(manifest, score), chance)
    assert measure(manifest, score) == words


def test_without_a_manifest_a_score_is_a_score():
    assert math.isnan(probability(None, 0.5)) and measure(None, 0.5) == "score 0.5"


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (3, 4, 5)])
def test_what_can_be_shown(shape):
    assert are_pictures(shape)
    need_pictures(shape, "")


@pytest.mark.parametrize("shape", [(FEATURES,), (), (2, 4, 5), (4, 4, 5), (3, 0, 5), (1, 3, 4, 5)])
def test_what_cannot(shape):
    assert not are_pictures(shape)
    with pytest.raises(InputError, match=r"inputs of shape .*, and pictures need .*: take the numbers"):
        need_pictures(shape, "take the numbers")


def test_an_image_is_shown_by_the_models_range_or_its_own():
    image = np.array([[-1.0, 3.0]], np.float32)
    np.testing.assert_allclose(unit(image, -1.0, 7.0), [[0.0, 0.5]])
    np.testing.assert_allclose(unit(image, None, None), [[0.0, 1.0]])
    np.testing.assert_allclose(unit(image / 10, None, None), [[0.0, 0.4 / 1.1]], rtol=1e-6)
