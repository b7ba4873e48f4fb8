"""What the page says of what was found."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from evaluated import METHODS, METRICS, NAMES, Covered, evaluated, images

from fluxpath.runtime.evaluation.report import sections
from fluxpath.runtime.evaluation.statistics import best_group


def plain(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.fixture
def found(graph):
    """Twelve images; tests may change its numbers."""
    return evaluated(graph("smooth", class_names=NAMES), 12, metrics={**METRICS, "covered": Covered()})


def test_the_first_sentences_name_groups_and_no_winner_within_noise(found):
    rng = np.random.default_rng(0)
    image = rng.random(12)
    for name, shift in (("saliency", 0.30), ("ig", 0.31), ("random", 0.0)):
        found._numbers[name]["insertion"] = (image + shift + 0.05 * rng.standard_normal(12)).tolist()
        found._numbers[name]["deletion"] = (image + 0.05 * rng.standard_normal(12)).tolist()
    said = plain(sections.found_in_short(found))
    first, second = best_group(found.standings("insertion"))
    assert f"Insertion (higher is better): {first} and {second} lead, and cannot be told apart. " in said
    assert "cannot be told apart, chance among them: on these images this metric does not show" in said
    assert "Covered (higher is better): not defined on these images." in said
    assert "12 images by 3 methods; the model is right on" in said


def test_a_winner_beyond_noise_is_named(found):
    for k, name in enumerate(METHODS):
        found._numbers[name]["insertion"] = (np.arange(12) / 12 + 5 * k).tolist()
    assert "random is the best, beyond noise." in plain(sections.found_in_short(found))
    table = sections.metric_section(found, "insertion")
    assert [row[-1] for row in rows(table)] == ["1", "2", "3"]
    assert rows(table)[1][4].startswith("\u22125"), "the difference from the best"


@pytest.fixture
def two(graph):
    """Twelve images by two methods, without chance; tests change its numbers."""
    methods = {name: METHODS[name] for name in ("ig", "saliency")}
    return evaluated(graph("smooth"), 12, methods=methods, metrics={"insertion": METRICS["insertion"]})


def said_of(found, **values):
    for name, each in values.items():
        found._numbers[name]["insertion"] = np.asarray(each, float).tolist()
    return plain(sections.found_in_short(found)).partition("(higher is better): ")[2]


@pytest.mark.parametrize("known", [1, 12])
def test_the_only_method_with_values_has_beaten_nobody(two, known):
    some = np.where(np.arange(12) < known, np.arange(12), np.nan)
    assert said_of(two, ig=some, saliency=[np.nan] * 12) == "ig is the only one it is defined for."


def test_methods_without_a_value_are_not_among_those_that_lead(found):
    rng = np.random.default_rng(0)
    image = rng.random(12)
    said = said_of(found, ig=image, saliency=image[::-1], random=[np.nan] * 12)
    assert said.startswith("not defined for random ; none of the methods can be told apart: ")


def test_a_winner_over_some_of_the_images_says_over_which(two):
    worse = np.where(np.arange(12) < 8, np.arange(12) / 12 + 4, np.nan)
    better = np.where(np.arange(12) < 8, np.arange(12) / 12 + 5 + np.arange(12) / 100, -9)
    said = said_of(two, ig=worse, saliency=better)
    assert said == (
        "over the 8 of 12 images on which both of a pair are defined, saliency is the best, beyond noise."
    )
    cells = rows(sections.metric_section(two, "insertion"))
    assert [row[0] for row in cells] == ["saliency", "ig"], "though its mean over all images is the lower"
    assert "over" not in cells[0][1] and cells[1][1].endswith("over 8 images")
    assert cells[1][4].endswith("over 8 images")
    assert rows(sections.summary_tables(two))[0][1].endswith("over 8 images")
    assert "Means of insertion are over 8 to 12 images." in " ".join(two.table().split())


def test_infinite_values_are_counted_where_the_means_stand(two):
    values = np.random.default_rng(1).random(12)
    said_of(two, ig=np.where(np.arange(12) < 2, -np.inf, values), saliency=values + 1)
    cells = {row[0]: row for row in rows(sections.metric_section(two, "insertion"))}
    assert cells["ig"][1].endswith(" 2 infinite") and "infinite" not in cells["saliency"][1]
    assert cells["ig"][4].endswith(" 2 infinite") and cells["ig"][-1] == "2"
    assert "without 2 infinite values" in " ".join(two.table().split())


def test_a_method_alone_is_named(two):
    two.methods.remove("saliency")
    assert said_of(two, ig=range(12)) == "ig is the only method."


def rows(html):
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def test_the_summary_marks_the_best_group_in_words(found):
    html = sections.summary_tables(found)
    for row, method in zip(rows(html), METHODS, strict=True):
        assert row[0] == method and row[3] == "\u2013"
        for cell, metric in zip(row[1:3], METRICS, strict=True):
            assert ("(best group)" in cell) == (method in best_group(found.standings(metric)))


def test_many_metrics_are_in_several_tables(graph):
    many = {f"m{k}": METRICS["deletion"] for k in range(7)}
    html = sections.summary_tables(evaluated(graph("smooth"), 3, metrics=many))
    assert html.count("<table") == 2 and "part 2" in html


def test_a_metric_tells_its_definition_and_settings(found):
    html = plain(sections.metric_section(found, "insertion"))
    assert "The insertion score: Petsiuk" in html and "Insertion(substrate=&#x27;black&#x27;, steps=6" in html
    assert "methods from best to worst, over 12 images" in html
    assert "Covered()" in plain(sections.metric_section(found, "covered"))


def test_photos_have_words_in_their_place(found):
    html = sections.photo_section(found)
    assert html.count("<img ") == len(found.photos) * 4 == 24
    photo = found.photos[0]
    assert f'alt="what decided that {photo.name} is {photo.caption}, by ig"' in html
    found.plan = replace(found.plan, drawing=replace(found.plan.drawing, polarity="both"))
    assert "Evidence over the photo" in sections.photo_section(found)


def test_costs_settings_and_provenance(found):
    cost = plain(sections.cost_section(found))
    assert "of it inside the model" in cost and "What metrics cost" in cost
    settings = plain(sections.settings_section(found))
    assert "method ig IntegratedGradients(steps=4" in settings and "seed 0" in settings
    told = plain(sections.provenance_section(found))
    assert found.about["sha256"] in told and "numpy" in told and "processor" in told
    assert "bootstrap" in plain(sections.reading_section())


def test_images_that_could_not_be_read_are_named(graph):
    bad = [(f"<{i}>", np.full((1, 6, 6), np.nan, np.float32)) for i in range(103)]
    found = evaluated(graph("smooth"), data=[("a", images(1)[0]), *bad], metrics={"covered": Covered()})
    html = sections.failures_section(found)
    assert "&lt;0&gt;" in html and "<0>" not in html and len(rows(html)) == 100
    assert "And 3 more." in plain(html)
    assert "103 images could not be read" in plain(sections.found_in_short(found))
