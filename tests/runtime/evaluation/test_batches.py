"""A batch's lines: what is measured and spent, and the photos of the grid."""

from __future__ import annotations

import numpy as np
from evaluated import METHODS, METRICS, evaluated, images

from fluxpath.runtime import Explainer
from fluxpath.runtime.evaluation.batches import Batches, Curves, asked
from fluxpath.runtime.evaluation.data.base import Datum
from fluxpath.runtime.evaluation.plan import Plan
from fluxpath.runtime.metrics import Case, Insertion, InsertionMinusDeletion, Measured


def lines(graph, n=4, positions=(), drawn=0, **settings):
    said = []
    with Explainer(graph("smooth"), threads=1) as explainer:
        plan = Plan(METHODS, METRICS, **settings)
        batches = Batches(explainer, plan, positions, drawn, lambda *told: said.append(told))
        data = [Datum(str(i), lambda i=i: images(n)[i], i % 4) for i in range(n)]
        return batches.lines(10, data), said


def test_what_was_spent_is_counted(graph):
    (*_, about), said = lines(graph)
    content = about.content
    assert about.name == "" and content["measured"] == 4 * 3
    assert content["gradients"] == {"saliency": 4, "ig": 20, "random": 4}
    assert content["cost"] == {"insertion": [7, 0], "deletion": [7, 0]}
    assert 0 < content["evaluations"] <= 4 * 3 * 14
    assert set(content["seconds"]) == {"preparing", "measuring", "model", "all"}
    assert sum(count for _, count in said) == 12
    assert {what for what, _ in said} >= {"predicting", "explaining by ig", "measuring"}


def test_photos_of_the_grid_come_in_their_turn(graph):
    made, _ = lines(graph, positions=(0, 11, 13, 40), drawn=1)
    assert [line.name for line in made if "photo" in line.content] == ["1", "3"]
    assert all(found["picture"].startswith("data:image/") for found in made[1].content["methods"].values())


def test_an_image_that_was_due_but_left_out_is_made_up_for(graph):
    """Only the next one that is evaluated is shown in its place."""
    found = evaluated(graph("smooth"), 12, only="correct", photos=3)
    assert len(found.photos) == 3 and {photo.name for photo in found.photos} <= set(found.images)


def test_what_a_metric_asks_for_counts_its_parts(graph):
    with Explainer(graph("smooth"), threads=1) as explainer:
        case = Case(images(1)[0], explainer.attribute(images(1)))
    assert asked(Insertion("black", 5), case) == [6, 0]
    assert asked(InsertionMinusDeletion(("black", "mean"), 5), case) == [24, 0]


def test_sums_of_curves_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows = rng.random((9, 5))
    whole, halves = Curves(), Curves()
    for row in rows:
        whole.add("m", "a", Measured(0.0, {"p": row}))
    for part in (rows[:4], rows[4:]):
        one = Curves()
        for row in part:
            one.add("m", "a", Measured(0.0, {"p": row}))
        halves.join(one.content())
    for curves in (whole, halves):
        count, total, squares, least, most = curves.sums()["m"]["a"]["p"]
        assert count == 9
        np.testing.assert_allclose(total, rows.sum(axis=0))
        np.testing.assert_allclose(squares, (rows**2).sum(axis=0))
        np.testing.assert_array_equal(least, rows.min(axis=0))
        np.testing.assert_array_equal(most, rows.max(axis=0))


def test_a_curve_that_is_not_finite_or_of_another_length_is_left_out():
    curves = Curves()
    for row in ([0.0, 1.0], [np.nan, 1.0], [1.0, 2.0, 3.0], [1.0, 1.0]):
        curves.add("m", "a", Measured(0.0, {"p": np.array(row)}))
    count, total, *_ = curves.sums()["m"]["a"]["p"]
    assert count == 2 and total.tolist() == [1.0, 2.0]
