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
    grouped,
    interval,
    resampled,
    shared,
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


def test_infinite_values_are_counted_and_not_in_the_mean():
    finite = np.random.default_rng(2).standard_normal(9)
    found = interval(np.concatenate([[np.inf, np.nan], finite, [-np.inf, 1e305]]), 4, resamples=500)
    np.testing.assert_allclose((found.mean, found.low, found.high), plain_interval(finite, 4, LEVEL, 500))
    assert (found.count, found.infinite) == (12, 3)
    assert interval(np.array([-np.inf, -np.inf])).mean == -math.inf
    both = interval(np.array([np.inf, -np.inf]))
    assert math.isnan(both.mean) and (both.count, both.infinite) == (2, 2)
    assert math.isfinite(interval(np.full(500, 1e300)).high)


def plain_differences(a, b):
    """Pair by pair: an infinite value stands beyond the finite ones by their own range."""
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not (math.isnan(x) or math.isnan(y))]
    finite = [v for pair in pairs for v in pair if not math.isinf(v)] or [0.0]
    least, most = min(finite), max(finite)
    beyond = {math.inf: most + (most - least), -math.inf: least - (most - least)}
    return [beyond.get(x, x) - beyond.get(y, y) for x, y in pairs]


def plain_apart(a, b, seed, risk):
    """1 if a's values are the greater, -1 if b's are, 0 where it is not known."""
    each = plain_differences(a, b)
    if len(each) < 2 or 2.0 ** (1 - sum(d != 0 for d in each)) > risk:
        return 0
    _, low, high = plain_interval(each, seed, 1 - risk, RESAMPLES)
    return int(low > 0) - int(high < 0)


def plain_standings(values, better, seed):
    """Who beats whom by loops, then groups by walks from one to the next, from the best to the worst."""
    sign = 1 if better == "higher" else -1
    names = [name for name in values if not all(map(math.isnan, values[name]))]
    risk = (1 - LEVEL) / max(1, len(names) * (len(names) - 1) / 2)
    beats = {n: [m for m in names if sign * plain_apart(values[n], values[m], seed, risk) > 0] for n in names}

    def reached(name):
        found, coming = set(), [name]
        while coming:
            for other in beats[coming.pop()]:
                if other not in found:
                    found.add(other)
                    coming.append(other)
        return found

    groups, left = {}, set(names)
    while left:
        best = {n for n in left if all(m in reached(n) for m in left if n in reached(m))}
        groups |= dict.fromkeys(best, max(groups.values(), default=0) + 1)
        left -= best

    def rank(name):
        ahead = 0
        for other in names:
            each = plain_differences(values[name], values[other])
            ahead += int(np.sign(sum(each))) if each else 0
        finite = [v for v in values[name] if math.isfinite(v)]
        return groups[name], -sign * ahead, -sign * sum(finite) / len(finite)

    return sorted(names, key=rank), groups


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


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("case", range(2))
def test_groups_with_missing_and_infinite_values_are_those_of_a_plain_loop(better, case):
    rng = np.random.default_rng(case)
    image = 3 * rng.standard_normal(24)
    values = {}
    for k in range(5):
        each = image + 0.4 * k + 0.3 * rng.standard_normal(24)
        each[rng.random(24) < 0.1 * k] = np.nan
        each[rng.random(24) < 0.08] = rng.choice([np.inf, -np.inf])
        values[f"m{k}"] = each
    values |= {"none": np.full(24, np.nan), "few": np.where(np.arange(24) < 3, 9.0 * image, np.nan)}
    found = standings(values, better, 3)
    names, groups = plain_standings(values, better, 3)
    assert [each.name for each in found] == [*names, "none"]
    assert {each.name: each.group for each in found} == {**groups, "none": 0}
    for each in found[1:-1]:
        wanted = plain_differences(values[each.name], values[names[0]])
        assert each.difference.mean == pytest.approx(np.mean(wanted))
        assert each.difference.count == len(wanted)


def apart_on_easy_images():
    """a is worse than b on every image that both have, and has no value on the 70 hard ones."""
    rng = np.random.default_rng(3)
    image = np.concatenate([rng.normal(0.9, 0.01, 30), rng.normal(0.3, 0.01, 70)])
    a = image - 0.05 + 0.005 * rng.standard_normal(100)
    return {"a": np.where(np.arange(100) < 30, a, np.nan), "b": image}


def test_means_over_different_images_name_no_winner():
    values = apart_on_easy_images()
    assert np.nanmean(values["a"]) > values["b"].mean(), "else the case shows nothing"
    b, a = standings(values, "higher")
    assert (b.name, b.group, b.mean.count) == ("b", 1, 100) and (a.name, a.group, a.mean.count) == (
        "a",
        2,
        30,
    )
    assert a.difference.high < 0 and a.difference.count == 30
    assert shared(values) == [30]
    assert [e.name for e in standings({n: -v for n, v in values.items()}, "lower")] == ["b", "a"]


def test_a_method_with_hardly_any_values_leaves_the_others_theirs():
    """It is beaten by none, and neither hides who is worse nor makes the others stand behind it."""
    rng = np.random.default_rng(5)
    image = rng.standard_normal(50)
    values = {"good": image + 1, "bad": image, "rare": np.where(np.arange(50) == 7, 99.0, np.nan)}
    assert {e.name: e.group for e in standings(values, "higher")} == {"rare": 1, "good": 1, "bad": 2}


@pytest.mark.parametrize("worst", [np.inf, 1e301, 1e308])
@pytest.mark.parametrize("count", [1, 20, 50])
def test_an_infinite_value_does_not_put_the_worst_method_into_the_best_group(worst, count):
    rng = np.random.default_rng(6)
    values = {"exact": rng.normal(0.01, 0.001, 50), "wrong": rng.normal(5, 0.1, 50)}
    values["wrong"][:count] = worst
    exact, wrong = standings(values, "lower")
    assert (exact.name, exact.group, wrong.group) == ("exact", 1, 2)
    assert wrong.mean.infinite == wrong.difference.infinite == count and wrong.mean.count == 50
    assert wrong.mean.mean == (pytest.approx(5, abs=0.1) if count < 50 else math.inf)
    assert math.isfinite(wrong.difference.high)


def test_one_infinite_value_makes_no_loser():
    rng = np.random.default_rng(8)
    a = rng.standard_normal(50)
    b = a + 0.2 * rng.standard_normal(50)
    b[3] = np.inf
    assert {e.group for e in standings({"a": a, "b": b}, "lower")} == {1}
    both = np.where(np.arange(50) < 20, np.inf, a)
    assert not told_apart(both, both.copy(), 1)[1], "equal infinities differ by nothing"
    always, real = told_apart(np.full(9, np.inf), np.zeros(9), 1)
    assert real and always.low > 0, "also where the finite values leave no room to be beyond"


def test_methods_that_beat_one_another_in_a_circle_share_a_group():
    rng = np.random.default_rng(9)
    third = np.arange(60) // 20
    values = {
        name: np.where(third == low, 0.0, np.where(third == high, 1.0, np.nan)) + 0.01 * rng.random(60)
        for name, low, high in (("a", 0, 1), ("b", 1, 2), ("c", 2, 0))
    }
    values["last"] = np.where(third == 0, -1.0, np.nan)
    assert {e.name: e.group for e in standings(values, "higher")} == {"a": 1, "b": 1, "c": 1, "last": 2}


def test_groups_follow_from_who_beats_whom():
    pairs = {("a", "c"), ("b", "d"), ("d", "e")}
    assert grouped("abcde", pairs) == {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3}
    assert grouped("ab", {("b", "a"), ("a", "b")}) == {"a": 1, "b": 1}
    assert grouped("", set()) == {}


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


@pytest.mark.parametrize(
    ("differing", "comparisons", "apart"),
    [(4, 1, False), (5, 1, False), (6, 1, True), (5, 3, False), (7, 3, True)],
)
def test_images_on_which_methods_are_equal_decide_nothing(differing, comparisons, apart):
    """As of metrics that are 0 or 1: a sign test looks at the images that differ, not at the others."""
    a = np.zeros(200)
    a[:differing] = 1
    found, real = told_apart(a, np.zeros(200), comparisons)
    assert found.count == 200 and real is apart
    assert bool(scipy_stats.binomtest(differing, differing).pvalue <= 0.05 / comparisons) is apart


def test_methods_without_a_value_stand_last():
    found = standings({"a": np.full(9, np.nan), "b": np.arange(9.0)}, "higher")
    assert [(e.name, e.group) for e in found] == [("b", 1), ("a", 0)]
    only = standings({"a": np.full(9, np.nan)}, "higher")
    assert only[0].group == 0 and best_group(only) == []
