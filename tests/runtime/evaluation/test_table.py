"""The table of the terminal."""

from __future__ import annotations

import math
import re

import pytest
from evaluated import METHODS, METRICS, NAMES, evaluated

from fluxpath.runtime.evaluation.statistics import Interval, best_group
from fluxpath.runtime.evaluation.table import aligned, number, short


def test_a_row_for_each_method_and_marks_for_the_best_group(graph):
    found = evaluated(graph("smooth", class_names=NAMES), 12)
    head, line, *rows, blank = found.table().split("\n")[:6]
    assert re.split("  +", head)[:3] == ["method", "insertion (higher)", "deletion (lower)"]
    assert set(line) <= {"-", " "} and [row.split()[0] for row in rows] == list(METHODS)
    for row, method in zip(rows, METHODS, strict=True):
        marks = re.findall(r"\+-\S+( \*)?", row)
        assert [bool(mark) for mark in marks] == [method in best_group(found.standings(m)) for m in METRICS]
    assert blank == ""
    assert "The model is right on" in " ".join(found.table().split())


def test_the_sentences_below_are_of_the_methods_that_there_are(graph):
    one, three = (
        " ".join(evaluated(graph("smooth"), 3, methods=methods).table().split())
        for methods in ({"saliency": METHODS["saliency"]}, METHODS)
    )
    assert "Means are over 3 images" in one and "*" not in one and "pair" not in one and "group" not in one
    assert "each pair over the images on which both of it are defined" in three


def test_more_metrics_than_fit_go_below(graph):
    many = {f"metric {k}": METRICS["deletion"] for k in range(7)}
    table = evaluated(graph("smooth"), 3, metrics=many).table()
    assert table.count("method  ") == 2 and max(map(len, table.splitlines())) < 140


@pytest.mark.parametrize(
    ("value", "half", "shown"),
    [(0.12345, 0.02, "0.123"), (0.12345, 0.2, "0.12"), (12345.6, 20, "12346"), (0.5, 0, "0.5"),
     (1e-9, 1e-9, "1e-09"), (math.inf, 1, "inf"), (123456.0, 20000, "1.23e+05")],
)  # fmt: skip
def test_numbers_have_the_digits_that_mean_something(value, half, shown):
    assert number(value, half) == shown


def test_what_is_not_defined_is_a_dash():
    assert short(Interval(math.nan, math.nan, math.nan, 0)) == "-"
    assert short(Interval(0.25, math.nan, math.nan, 1)) == "0.25"
    assert short(Interval(0.25, 0.2, 0.3, 9)) == "0.250 +-0.050"


def test_names_of_others_do_not_reach_the_terminal():
    assert "\x1b" not in aligned([["method", "x"], ["a\x1b[2J", "1"]])
