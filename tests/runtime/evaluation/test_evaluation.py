"""The object that `evaluate` returns: numbers, rows, comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluated import METHODS, METRICS, NAMES, evaluated

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.evaluation import Curve, Spent
from fluxpath.runtime.evaluation.statistics import interval, told_apart


@pytest.fixture(scope="module")
def found(graph):
    return evaluated(graph("smooth", class_names=NAMES), 12)


def test_rows_are_the_numbers(found):
    rows = list(found.rows)
    assert len(rows) == 12 * 3 and list(found.rows) == rows
    assert [row["method"] for row in rows[:3]] == list(METHODS)
    for metric in METRICS:
        for method in METHODS:
            of_method = [row[metric] for row in rows if row["method"] == method]
            np.testing.assert_array_equal(found.values(metric)[method], of_method)
    assert rows[0]["class_name"] == NAMES[rows[0]["target"]] and rows[5]["label"] == 1
    np.testing.assert_array_equal(found.target[::1], [row["target"] for row in rows[::3]])
    np.testing.assert_array_equal(found.probability, [row["probability"] for row in rows[::3]])


def test_comparisons_are_of_pairs(found):
    values = found.values("insertion")
    assert found.compare("insertion", "ig", "random") == told_apart(values["ig"], values["random"], 1, 0)
    standing = {each.name: each for each in found.standings("insertion")}
    assert standing["ig"].mean == interval(values["ig"], 0)
    assert found.standings("deletion")[0].mean.mean == min(
        v.mean() for v in found.values("deletion").values()
    )


def test_it_prints_its_table(found):
    assert repr(found) == f"Evaluation of 3 methods by 2 metrics on 12 images\n{found.table()}"
    assert len(found) == 12 and found.accuracy == found.right / 12


@pytest.mark.parametrize("call", [lambda e: e.values("x"), lambda e: e.standings("x"),
                                  lambda e: e.compare("insertion", "ig", "x")])  # fmt: skip
def test_unknown_names(found, call):
    with pytest.raises(InputError, match=r"there is no m.* 'x', there are"):
        call(found)


def test_a_curve_is_the_mean_and_its_interval():
    rows = np.random.default_rng(0).random((40, 3)) ** 3
    curve = Curve.of((40, rows.sum(axis=0), (rows**2).sum(axis=0), rows.min(axis=0), rows.max(axis=0)))
    np.testing.assert_allclose(curve.mean, rows.mean(axis=0))
    half = 1.96 * rows.std(axis=0, ddof=1) / math.sqrt(40)
    np.testing.assert_allclose(curve.high - curve.mean, half)
    np.testing.assert_allclose(curve.mean - curve.low, half)
    pair = np.array([[0.0], [1.0]])
    wide = Curve.of((2, pair.sum(axis=0), (pair**2).sum(axis=0), pair.min(axis=0), pair.max(axis=0)))
    assert (wide.low, wide.high) == (0, 1), "no mean lies beyond its values"


def test_captions_name_what_is_explained_and_what_else_there_is(found, graph):
    labelled = evaluated(graph("smooth", class_names=NAMES), 12, target="label", photos=12)
    texts = {photo.name: photo.caption for photo in labelled.photos}
    for i, name in enumerate(labelled.images):
        wrong = labelled.predicted[i] != labelled.label[i]
        assert texts[name].startswith(NAMES[i % 4]) and ("; predicted: " in texts[name]) == wrong
    plain = evaluated(graph("smooth"), 3, photos=3)
    assert all(photo.caption.startswith("class ") for photo in plain.photos)
    assert any("; labelled: " in photo.caption for photo in found.photos)


def test_the_share_of_the_model():
    spent = Spent()
    assert math.isnan(spent.share_of_model)
    for _ in range(2):
        spent.add({"explaining": {"a": 1.0}, "gradients": {"a": 5}, "seconds": {"all": 4.0, "model": 2.0}})
    assert spent.share_of_model == 0.75 and spent.gradients == {"a": 10}


def test_inputs_that_are_no_pictures_have_no_grid(graph):
    data = {"images": np.random.default_rng(0).random((5, 2, 8, 8)).astype(np.float32)}
    found = evaluated(graph("relu"), data=data)
    assert len(found) == 5 and found.photos == []
