"""The page's drawings."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from fluxpath.runtime.evaluation.evaluation import Curve
from fluxpath.runtime.evaluation.report.figures import PAD, WIDTH, curve_figures, extent, whisker
from fluxpath.runtime.evaluation.statistics import Interval

FOUND = Interval(0.5, 0.25, 0.75, 9)


def test_a_mean_stands_where_it_is():
    reach = extent([FOUND, Interval(0.1, 0.0, 1.0, 9), Interval(math.nan, math.nan, math.nan, 0)])
    assert reach == (0.0, 1.0)
    best, other = whisker(FOUND, reach, True, 0.0), whisker(FOUND, reach, False)
    circle = ElementTree.fromstring(best).find("circle")
    assert float(circle.get("cx")) == pytest.approx(WIDTH / 2)
    ends = re.findall(r'x1="([\d.]+)" x2="([\d.]+)"', best)
    inner = WIDTH - 2 * PAD
    assert ends[1] == (f"{PAD:.1f}", f"{PAD:.1f}")
    assert ends[2] == (f"{PAD + inner / 4:.1f}", f"{PAD + 3 * inner / 4:.1f}")
    assert 'fill="#fff"' in other and 'fill="#fff"' not in best, "colour alone would not tell the best"
    assert 'aria-hidden="true"' in best and "style=" not in best


def test_what_cannot_be_drawn_is_left_out():
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    assert extent([nothing]) is None
    assert whisker(FOUND, None, True) == whisker(nothing, (0, 1), True) == ""
    assert "circle" in whisker(Interval(1.0, math.nan, math.nan, 1), (1.0, 1.0), True)


def curve(*mean):
    values = np.array(mean)
    return Curve(values, values - 0.1, values + 0.1, 3)


def test_a_drawing_for_each_curve():
    methods = {
        "<a>": {"fraction": curve(0.0, 0.5, 1.0), "p": curve(0.0, 0.2, 1.0), "q": curve(0.0, 0.1, 0.3)},
        "b": {"fraction": curve(0.0, 0.5, 1.0), "p": curve(0.1, 0.4, 0.9)},
    }
    p, q = curve_figures("deletion", methods)
    assert "xmlns" not in p and p.count("<polygon") == 2 and q.count("<polygon") == 1
    assert "&lt;a&gt;" in p and ">deletion: p</" in p and ">fraction</text>" in p
    assert curve_figures("gini", {}) == curve_figures("gini", {"a": {}}) == []
    assert curve_figures("x", {"a": {"p": curve(1.0, 2.0)}}) == []


def test_curves_that_cannot_be_drawn_are_left_out():
    """Of a metric of one's own: without a finite first curve, too large, of another length or shape."""
    x = curve(0.0, 0.5, 1.0)
    good = {"x": x, "y": curve(0.0, 0.2, 1.0)}
    plane = np.zeros((3, 2))
    for strange in (
        {"y": x},
        {"x": x},
        {},
        {"x": x, "y": curve(0.0, 2e300, 1.0)},
        {"x": curve(0.0, 2e300, 1.0), "y": x},
        {"x": x, "y": curve(0.0, 1.0)},
        {"x": x, "y": curve(np.nan, np.nan, np.inf)},
        {"x": x, "y": Curve(plane, plane, plane, 3)},
        {"x": curve(), "y": curve()},
    ):
        for methods in ({"odd": strange, "good": good}, {"good": good, "odd": strange}):
            (drawn,) = curve_figures("own", methods)
            assert ">own: y</" in drawn and ">x</text>" in drawn and drawn.count("<polygon") == 1
            assert ">good</text>" in drawn and ">odd</text>" not in drawn
        assert curve_figures("own", {"odd": strange}) == []
    wide = Curve(x.mean, x.low, np.array([1.0, 3e300, 1.0]), 3)
    (drawn,) = curve_figures("own", {"good": {"x": x, "y": wide}})
    assert ">good</text>" in drawn and "<polygon" not in drawn, "the line is drawn without its interval"


@pytest.mark.parametrize("count", [1, 12, 60])
def test_many_methods_with_long_names_have_room(count):
    methods = {f"{k} " + "name " * 30: {"x": curve(0.0, 1.0), "y": curve(0.3, 0.4)} for k in range(count)}
    (drawn,) = curve_figures("own", methods)
    assert drawn.count("<polygon") == count
