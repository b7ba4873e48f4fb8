"""Text and numbers of the page."""

from __future__ import annotations

import math

import pytest

from fluxpath.runtime.evaluation.report.words import (
    bounds,
    caption_text,
    figure,
    listed,
    mean,
    seconds,
    table,
    text,
)
from fluxpath.runtime.evaluation.statistics import Interval


def test_marks_and_commands_are_escaped():
    assert text('<b>"a"&\'\x1b\u202e\udcff') == "&lt;b&gt;&quot;a&quot;&amp;&#x27;\\x1b\\u202e\\udcff"


def test_intervals():
    found = Interval(-0.25, -0.3, -0.2, 9)
    assert mean(found) == "\u22120.250" and bounds(found) == "\u22120.300 to \u22120.200"
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    assert mean(nothing) == bounds(nothing) == "\u2013" == figure(math.nan, 1)


@pytest.mark.parametrize(
    ("value", "words"), [(0.123, "0.12 s"), (5, "5 s"), (42.4, "42 s"), (90, "2 min"), (3700, "1 h 2 min")]
)
def test_times(value, words):
    assert seconds(value) == words


def test_lists_and_counts():
    assert listed(["a"]) == "<b>a</b>" and listed(["a", "<", "c"]) == "<b>a</b>, <b>&lt;</b> and <b>c</b>"


def test_a_table_names_its_rows_and_columns():
    html = table("A <b>caption</b>", ["x", "y"], [["a", "1"]])
    assert '<th scope="col">x</th>' in html and '<th scope="row">a</th><td>1</td>' in html
    assert "<caption>A <b>caption</b></caption>" in html and 'aria-label="A caption"' in html
    assert caption_text("a<br>b &lt;c") == "ab &lt;c"
