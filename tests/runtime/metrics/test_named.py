"""Metrics by name."""

from __future__ import annotations

import dataclasses

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import metrics
from fluxpath.runtime.metrics import METRICS, Deletion, metric_named


def test_every_name_makes_its_class_with_defaults():
    for name, made in METRICS.items():
        metric = metric_named(name)
        assert type(metric) is made and made.better in ("higher", "lower")
        assert dataclasses.is_dataclass(metric) and hash(metric) == hash(made())
        assert made.__name__ in metrics.__all__
        assert metric == dataclasses.replace(metric)


def test_settings():
    assert metric_named("deletion", substrate="mean", steps=7) == Deletion("mean", 7)
    assert metric_named("fluxpath.runtime.metrics:Deletion", steps=7) == Deletion(steps=7)


@pytest.mark.parametrize(
    ("name", "settings", "what"),
    [
        ("insertions", {}, "there is no metric 'insertions': the nearest are insertion"),
        (
            "zzz",
            {},
            "there is no metric 'zzz': there are insertion, .*; one's own is named package.module:Cl",
        ),
        ("gini", {"steps": 3}, "gini has no setting 'steps', it has none"),
        ("deletion", {"level": 3}, "deletion has no setting 'level', it has absolute, ranking, steps, sub"),
        ("fluxpath.runtime:MFABA", {}, "it must be a class derived from fluxpath.runtime.metrics.Metric"),
        ("fluxpath.runtime.metrics:None_", {}, "has no 'None_'"),
        ("none_such:Own", {}, "cannot import 'none_such': No module named"),
    ],
)
def test_wrong_names_and_settings(name, settings, what):
    with pytest.raises(InputError, match=what):
        metric_named(name, **settings)
