"""Curves: where their points lie, round numbers on the axes, and an SVG that every reader can open."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Curves, curves
from fluxpath.runtime.pictures.curves import ticks

NS = "{http://www.w3.org/2000/svg}"
X = np.linspace(0, 1, 11)
TWO = {"falling": (X, 1 - X), "rising": (X, X**2)}


def tree(figure: Curves) -> ElementTree.Element:
    return ElementTree.fromstring(figure.svg())


def texts(figure: Curves) -> list[str]:
    return [element.text or "" for element in tree(figure).iter(f"{NS}text")]


def lines(figure: Curves) -> list[tuple[str | None, list[tuple[float, float]]]]:
    """Each line's dashes and points, for lines of the curves and the legend: those that are 2 wide."""
    found = []
    for element in tree(figure).iter(f"{NS}polyline"):
        if element.get("stroke-width") == "2":
            pairs = [pair.split(",") for pair in str(element.get("points")).split()]
            found.append((element.get("stroke-dasharray"), [(float(x), float(y)) for x, y in pairs]))
    return found


def test_points_lie_where_the_axes_say() -> None:
    """A straight line on axes of 0 to 1: the numbers 0.0 and 1.0 stand at its ends."""
    figure = curves(TWO, "t", "share", "score")
    (_, falling), *_ = lines(figure)
    places = {}
    for element in tree(figure).iter(f"{NS}text"):
        places[element.text, element.get("text-anchor")] = (
            float(str(element.get("x"))),
            float(str(element.get("y"))),
        )
    (x0, y0), (x1, y1) = falling[0], falling[-1]
    assert abs(places["0.0", "middle"][0] - x0) < 0.01 and abs(places["1.0", "middle"][0] - x1) < 0.01
    assert abs(places["1.0", "end"][1] - y0) < 6 and abs(places["0.0", "end"][1] - y1) < 6
    for k, (x, y) in enumerate(falling):
        assert (x, y) == pytest.approx((x0 + (x1 - x0) * k / 10, y0 + (y1 - y0) * k / 10), abs=0.02)
    for k, (_, y) in enumerate(lines(figure)[2][1]):  # after the first curve's sample in the legend
        assert y == pytest.approx(y1 + (y0 - y1) * (k / 10) ** 2, abs=0.02)


def test_a_figure_says_what_it_shows() -> None:
    figure = curves(TWO, "Deletion & <insertion>", "share", "score")
    root = tree(figure)
    assert root.get("role") == "img"
    assert root[0].tag == f"{NS}title" and root[0].text == "Deletion & <insertion>"
    assert root[1].text == "score against share: falling, rising"
    assert {"Deletion & <insertion>", "share", "score", "falling", "rising"} <= set(texts(figure))


def test_curves_differ_without_colour() -> None:
    """Neighbours have other dashes, also in the picture."""
    figure = curves({str(k): (X, X + k) for k in range(5)}, "t")
    dashes = [dash for dash, _ in lines(figure)[::2]]
    assert len(set(dashes[:4])) == 4
    flat = {"a": ([0, 1], [1, 1]), "b": ([0, 1], [0.5, 0.5]), "c": ([0], [0])}
    dark = np.asarray(curves(flat, "t").png(1).convert("L")) < 160
    (_, a), _, (_, b), *_ = lines(curves(flat, "t"))
    inked = [
        dark[round(p[0][1]) - 1 : round(p[0][1]) + 1, round(p[0][0]) : round(p[1][0])].any(0).mean()
        for p in (a, b)
    ]
    assert inked[0] > 0.99 and 0.5 < inked[1] < 0.85  # 9 of 13


def test_what_is_not_finite_breaks_the_line_and_a_lone_point_is_a_dot() -> None:
    y = np.array([1.0, 2, math.nan, 4, math.inf, 6, 7, 8])
    figure = curves({"a": (np.arange(8), y)}, "t")
    assert [len(points) for _, points in lines(figure)] == [2, 3, 2]
    assert len(list(tree(figure).iter(f"{NS}circle"))) == 1
    figure.png()


def test_the_picture_shows_the_curve() -> None:
    figure = curves({"a": (X, X)}, "t", "x", "y")
    picture = np.asarray(figure.png(2), int)
    assert picture.shape == (840, 1280, 3)
    for x, y in lines(figure)[0][1][1:-1]:
        assert np.abs(picture[round(2 * y), round(2 * x)] - (0, 114, 178)).max() < 40


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.03, 0.97, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 12, [-5, 0, 5, 10, 15]),
        (0, 500, [0, 100, 200, 300, 400, 500]),
        (5, 5, [2, 3, 4, 5, 6, 7, 8]),
        (0, 0, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6]),
    ],
)
def test_axes_have_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected)


@given(st.floats(-1e299, 1e299), st.floats(0, 1e299), st.integers(1, 8))
def test_axes_hold_their_curves(low: float, extent: float, most: int) -> None:
    marks = ticks(low, low + extent, most)
    assert 2 <= len(marks) <= most + 3
    slack = 1e-8 * (marks[-1] - marks[0])
    assert marks[0] <= low + slack and marks[-1] >= low + extent - slack


@pytest.mark.parametrize(
    "values", [[0, 1e-7], [1e6, 1e6 + 3], [-1e200, 1e200], [3, 3], [0, 0], [1e-300, 2e-300], [1e16, 1e16]]
)
def test_numbers_of_an_axis_can_be_told_apart(values: list[float]) -> None:
    figure = curves({"a": (values, values)}, "t")
    marks = [t for t in texts(figure) if t not in ("a", "t")]
    assert all(marks.count(mark) <= 2 for mark in marks)  # once on either axis
    figure.png(1)


HOSTILE = [
    "",
    "a" * 3000,
    "\u72ac\u0000\ud800\uffff\u202e",
    "</text><script>",
    "two\nlines",
    "\u72ac" * 100,
    "\"&'",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_name_can_be_written(text: str) -> None:
    figure = curves({text: (X, X), text + "2": (X, -X)}, text, text, text)
    root = tree(figure)
    tags = {element.tag for element in root.iter()}
    assert tags <= {NS + n for n in ("svg", "title", "desc", "rect", "text", "polyline")}
    figure.svg().encode()
    edges = np.asarray(figure.png(1).convert("L"))[:, [0, 1, 2, -3, -2, -1]]
    assert edges.min() > 200


def test_many_names_stand_in_rows() -> None:
    figure = Curves({f"curve number {k}": (X, X + k) for k in range(12)}, "t")
    assert len([t for t in texts(figure) if t.startswith("curve number")]) == 12
    with pytest.raises(InputError, match="need more width or height"):
        Curves({f"curve number {k}": (X, X + k) for k in range(90)}, "t")


@pytest.mark.parametrize(
    ("series", "options", "said"),
    [
        ({}, {}, "at least one point whose x and y are finite"),
        ({"a": ([], [])}, {}, "at least one point"),
        ({"a": ([1.0], [math.nan])}, {}, "at least one point"),
        (
            {"a": ([1.0, 2.0], [1.0])},
            {},
            "x and y of the curve 'a' must be real numbers [n] of one length, got float64 [2]",
        ),
        ({"a": (["x"], [1.0])}, {}, "got <U1 [1]"),
        ({"a": ([1e308, -1e308], [0, 1])}, {}, "below 1e300"),
        ({"a": ([1], [1])}, {"width": 20}, "width is 20"),
        ({"a": ([1], [1])}, {"height": 1e9}, "height is"),
    ],
)
def test_bad_curves_are_refused(series: Any, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        Curves(series, "t", **options)
    if not options:
        with pytest.raises(InputError):
            curves(series, "t")


def test_a_bad_scale_is_refused() -> None:
    with pytest.raises(InputError, match="scale is 0"):
        curves(TWO, "t").png(0)


def polygons(figure: Curves) -> list[list[tuple[float, float]]]:
    found = []
    for element in tree(figure).iter(f"{NS}polygon"):
        pairs = [pair.split(",") for pair in str(element.get("points")).split()]
        found.append([(float(x), float(y)) for x, y in pairs])
    return found


def test_a_band_lies_between_its_edges() -> None:
    """Those of the other curve: so the band's edges are where that curve would be drawn."""
    low, high = X**2, X
    figure = Curves({"low": (X, low), "high": (X, high)}, "t", bands={"high": (low, high)})
    (band,) = polygons(figure)
    drawn = [points for _, points in lines(figure) if len(points) > 2]
    assert band == [*drawn[0], *drawn[1][::-1]]
    plain = Curves({"low": (X, low), "high": (X, high)}, "t")
    assert polygons(plain) == []
    assert np.asarray(figure.png(1)).mean() < np.asarray(plain.png(1)).mean()


def test_axes_have_room_for_bands() -> None:
    figure = Curves({"a": (X, X)}, "t", bands={"a": (X - 3, X + 3)})
    assert {"-4", "4"} <= set(texts(figure)) or {"-3", "4"} <= set(texts(figure))
    (band,) = polygons(figure)
    assert all(0 <= y <= figure.height for _, y in band)


def test_a_band_is_broken_where_an_edge_is() -> None:
    low, high = X - 0.1, X + 0.1
    low[3], high[7] = np.nan, np.inf
    assert [len(p) for p in polygons(Curves({"a": (X, X)}, "t", bands={"a": (low, high)}))] == [6, 6, 6]


def test_a_band_needs_its_curve() -> None:
    with pytest.raises(InputError, match="a band is of the curve 'b', which there is not"):
        Curves({"a": (X, X)}, "t", bands={"b": (X, X)})
    with pytest.raises(InputError, match="of one length"):
        Curves({"a": (X, X)}, "t", bands={"a": (X, X[:3])})
