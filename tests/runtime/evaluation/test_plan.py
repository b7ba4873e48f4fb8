"""Settings of an evaluation, checked before anything is opened or written."""

from __future__ import annotations

import pytest
from evaluated import METHODS, METRICS, evaluated

from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG, Saliency
from fluxpath.runtime.evaluation.data import Data
from fluxpath.runtime.evaluation.plan import Plan, methods_of, metrics_of
from fluxpath.runtime.metrics import Insertion


def plan(**settings):
    return Plan(METHODS, METRICS, **settings)


def data(count=10, labelled=True):
    return Data(lambda: iter(()), count, None, labelled)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "best"}, "target is 'best', it must be 'predicted' or 'label'"),
        ({"only": "wrong"}, "only is 'wrong', it must be 'correct' or None"),
        ({"sample": 0}, "sample is 0"),
        ({"photos": -1}, "photos is -1"),
        ({"seed": 2**32}, "seed is"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(InputError, match=said):
        plan(**settings)


def test_what_data_must_have_is_said():
    for settings in ({"target": "label"}, {"only": "correct"}):
        plan(**settings).check(data())
        with pytest.raises(InputError, match="which needs labels, and these data have none"):
            plan(**settings).check(data(labelled=False))
    with pytest.raises(InputError, match="data of known size"):
        plan(sample=3).check(data(None))


def test_a_sample_is_drawn_by_the_seed():
    assert plan().chosen(10) is None and plan(sample=10).chosen(10) is None
    chosen = plan(sample=4).chosen(100)
    assert len(chosen) == 4 and chosen == plan(sample=4).chosen(100) != plan(sample=4, seed=1).chosen(100)
    assert (plan().total(10), plan(sample=4).total(10), plan(sample=40).total(10)) == (10, 4, 10)


def test_photos_of_the_grid_are_spread_over_the_data():
    assert plan(photos=3).positions(30, (3, 4, 4)) == [0, 10, 20]
    assert plan(photos=3).positions(2, (3, 4, 4)) == [0, 1]
    assert plan(photos=3).positions(None, (3, 4, 4)) == [0, 1, 2]
    assert plan(photos=3, sample=6).positions(30, (3, 4, 4)) == [0, 2, 4]
    assert plan(photos=0).positions(30, (3, 4, 4)) == plan().positions(30, (7,)) == []


def test_seeds_are_the_images():
    assert plan().seed_of("a") == plan().seed_of("a") != plan().seed_of("b")
    assert plan().seed_of("a") != plan(seed=1).seed_of("a")


def test_methods_and_metrics_are_named_as_they_are_given(graph):
    found = evaluated(
        graph("smooth"), 3, methods=["saliency", NeFLAG(n=2), "random"], metrics=[Insertion(steps=3)]
    )
    assert found.methods == ["saliency", "neflag(n=2)", "random"]
    assert found.metrics == [repr(Insertion(steps=3))]
    assert list(metrics_of(["insertion"])) == ["insertion"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "methods are empty"),
        ("saliency", "must be a sequence"),
        (["saliency", "saliency"], "name each once"),
        (["salience"], "there is no method 'salience'"),
        ({"": Saliency()}, "1 to 200 printable letters"),
        ({"a\x1b": Saliency()}, "1 to 200 printable letters"),
        ([7], "it must be a method's settings"),
    ],
)
def test_wrong_methods_are_named(graph, given, said):
    from fluxpath.runtime import Explainer

    with Explainer(graph("smooth"), threads=1) as explainer, pytest.raises(InputError, match=said):
        methods_of(given, explainer.shape, explainer.manifest)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["insert"], "no metric 'insert'"),
        ({"a": 3}, "must be a Metric"),
        ({"steps": "gini"}, "as another column is"),
    ],
)
def test_wrong_metrics_are_named(given, said):
    with pytest.raises(InputError, match=said):
        metrics_of(given)
