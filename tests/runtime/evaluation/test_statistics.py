"""Intervals and groups against slow plain twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fluxpath.runtime.evaluation import statistics
from fluxpath.runtime.evaluation.statistics import (
    LEVEL,
    RESAMPLES,
    best_group,
    interval,
    resampled,
    standings,
    student,
    told_apart,
)

scipy_stats = pytest.importorskip("scipy.stats")


def plain_interval(values, seed, level, resamples):
    """One resample after the other, by loops."""
    kept = [v for v in values if not math.isnan(v)]
    n = len(kept)
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    means = sorted(sum(kept[i] for i in row) / n for row in drawn.tolist())
    tail = (1 - level) / 2
    longer = scipy_stats.t.ppf(1 - tail, n - 1) / scipy_stats.norm.ppf(1 - tail) * math.sqrt(n / (n - 1))

    def quantile(q):
        at = q * (resamples - 1)
        low = math.floor(at)
        return means[low] + (at - low) * (means[min(low + 1, resamples - 1)] - means[low])

    mean = sum(kept) / n
    return mean, *(mean + longer * (quantile(q) - mean) for q in (tail, 1 - tail))


@pytest.mark.parametrize("n", [2, 7, 40])
@pytest.mark.parametrize("level", [0.95, 0.995])
def test_an_interval_is_that_of_a_plain_loop(n, level):
    values = np.random.default_rng(n).standard_normal(n)
    found = interval(np.append(values, np.nan), 5, level, 500)
    np.testing.assert_allclose(
        (found.mean, found.low, found.high), plain_interval(values, 5, level, 500), rtol=1e-9, atol=1e-12
    )
    assert found.count == n


def test_resamples_are_the_same_in_pieces(monkeypatch):
    values = np.random.default_rng(0).standard_normal(30)
    whole = resampled(values, 3, 200)
    monkeypatch.setattr(statistics, "_AT_ONCE", 700)
    np.testing.assert_array_equal(resampled(values, 3, 200), whole)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 199, 2000, 5000])
@pytest.mark.parametrize("share", [0.9, 0.975, 0.9995])
def test_students_quantiles_are_scipys(freedom, share):
    rough = 2e-3 if freedom > 2000 else 1e-8
    assert student(share, freedom) == pytest.approx(scipy_stats.t.ppf(share, freedom), rel=rough)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    """Also for few images, where the plain percentile interval is far too narrow."""
    rng = np.random.default_rng(1)
    for n in (5, 20):
        inside = [
            found.low <= 0 <= found.high
            for found in (interval(rng.standard_normal(n), resamples=800) for _ in range(600))
        ]
        assert 0.92 < np.mean(inside) < 0.985


def test_what_is_not_defined_has_no_interval():
    assert interval(np.full(3, np.nan)).count == 0
    assert math.isnan(interval(np.array([1.0])).low) and interval(np.array([1.0])).mean == 1
    assert math.isnan(interval(np.array([1.0, np.inf])).high)


def plain_standings(values, better, seed):
    """Each method against the first of each group, by loops."""
    names = sorted(values, key=lambda name: np.mean(values[name]) * (-1 if better == "higher" else 1))
    risk = (1 - LEVEL) / max(1, len(names) * (len(names) - 1) / 2)
    leaders, groups = [], {}
    for name in names:
        for number, leader in enumerate(leaders, 1):
            difference = values[name] - values[leader]
            _, low, high = plain_interval(difference, seed, 1 - risk, RESAMPLES)
            if low <= 0 <= high or 2.0 ** (1 - len(difference)) > risk:
                groups[name] = number
                break
        else:
            leaders.append(name)
            groups[name] = len(leaders)
    return names, groups


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_groups_are_those_of_a_plain_loop(better):
    rng = np.random.default_rng(4)
    image = rng.standard_normal(12)
    shifts = {"a": 0.0, "b": 0.1, "c": 0.5, "d": 0.55, "e": 2.0}
    values = {name: image + shift + 0.3 * rng.standard_normal(12) for name, shift in shifts.items()}
    found = standings(values, better, 2)
    names, groups = plain_standings(values, better, 2)
    assert [each.name for each in found] == names
    assert {each.name: each.group for each in found} == groups
    assert 1 < len(set(groups.values())) < 5, "else the case shows nothing"
    assert best_group(found) == [name for name in names if groups[name] == 1]
    assert found[0].difference is None
    for each in found[1:]:
        assert each.difference.mean == pytest.approx(np.mean(values[each.name] - values[names[0]]))


def test_a_method_is_compared_with_the_best_also_after_a_better_one_was_told_apart():
    """Its own noise can hide what the noise of a better method does not."""
    rng = np.random.default_rng(0)
    best = rng.standard_normal(30)
    values = {"best": best, "steady": best - 0.2, "wild": best - 0.25 + 3 * rng.standard_normal(30)}
    values["wild"] += -0.25 - np.mean(values["wild"] - best)
    assert {e.name: e.group for e in standings(values, "higher")} == {"best": 1, "steady": 2, "wild": 1}


def test_there_is_no_winner_among_equals():
    """With 95% for all pairs together: of 40 evaluations of eight equal methods, few have one."""
    rng = np.random.default_rng(7)
    apart = [
        max(e.group for e in standings({str(k): rng.standard_normal(12) for k in range(8)}, "higher"))
        for _ in range(40)
    ]
    assert np.mean(np.array(apart) > 1) <= 0.1


@pytest.mark.parametrize(("n", "apart"), [(2, False), (5, False), (6, True)])
def test_few_images_decide_nothing(n, apart):
    """One sign on all of five images happens by chance more often than in one of twenty."""
    a = np.linspace(1, 1.1, n)
    assert told_apart(a, np.zeros(n), 1)[1] is apart


def test_methods_without_a_value_stand_last():
    found = standings({"a": np.full(9, np.nan), "b": np.arange(9.0)}, "higher")
    assert [(e.name, e.group) for e in found] == [("b", 1), ("a", 0)]
    only = standings({"a": np.full(9, np.nan)}, "higher")
    assert only[0].group == 0 and best_group(only) == []
