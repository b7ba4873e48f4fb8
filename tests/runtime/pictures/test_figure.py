"""Lines and labels as SVG and as pixels: the same in both, dashes by their lengths, text of any kind."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from fluxpath.runtime.pictures.figure import Area, Label, Line, pixels, svg
from fluxpath.runtime.pictures.text import BACKGROUND

NS = "{http://www.w3.org/2000/svg}"
SIZE = (200, 100)
BLACK = (0, 0, 0)


def ink(lines: list[Line], labels: list[Label] | None = None, scale: int = 1) -> np.ndarray:
    return np.asarray(pixels(lines, labels or [], SIZE, scale).convert("L")) < 128


@pytest.mark.parametrize("dashes", [(9, 4), (2, 3), (9, 3, 2, 3)])
def test_dashes_have_their_lengths_whatever_the_points(dashes: tuple[int, ...]) -> None:
    """Along a straight line in pieces of odd lengths, against the pattern laid out pixel by pixel."""
    xs = [10.0, 11.3, 30.0, 30.1, 97.7, 150.0]
    row = ink([Line(tuple((x, 50.0) for x in xs), BLACK, 2, dashes)])[49]
    whole = sum(dashes)
    for x in range(10, 150):
        place, k = (x + 0.5 - 10) % whole, 0
        while place > dashes[k]:
            place, k = place - dashes[k], k + 1
        if min(place, dashes[k] - place) > 0.9:  # not where a dash begins or ends
            assert row[x] == (k % 2 == 0), x


def test_a_line_is_whole_and_a_single_point_is_a_dot() -> None:
    line, dot = Line(((10, 20), (190, 20)), BLACK, 2), Line(((50, 70),), BLACK, 2)
    drawn = ink([line, dot])
    assert drawn[19:21, 10:190].all() and not drawn[22:60].any()
    assert drawn[60:].sum() == pytest.approx(math.pi * 3**2, abs=6)
    tree = ElementTree.fromstring(svg([line, dot], [], SIZE, "t", "a"))
    assert tree.find(f"{NS}polyline").get("points") == "10.00,20.00 190.00,20.00"  # type: ignore[union-attr]
    assert tree.find(f"{NS}circle").get("r") == "3"  # type: ignore[union-attr]


def test_a_picture_is_so_many_times_larger() -> None:
    lines, labels = [Line(((10, 20), (190, 20)), BLACK, 2)], [Label(10, 60, "text", 13)]
    small, large = ink(lines, labels), ink(lines, labels, 3)
    assert large.shape == (300, 600)
    assert large.mean() == pytest.approx(small.mean(), rel=0.2)


@pytest.mark.parametrize(("anchor", "edge"), [("start", 0), ("middle", 0.5), ("end", 1)])
def test_labels_are_anchored(anchor: str, edge: float) -> None:
    label = Label(100, 60, "a label", 13, BLACK, anchor)
    _, columns = np.nonzero(ink([], [label]))
    low, high = columns.min(), columns.max() + 1
    assert abs(low + edge * (high - low) - 100) <= 2
    element = ElementTree.fromstring(svg([], [label], SIZE, "t", "a")).find(f"{NS}text")
    assert element is not None and element.get("text-anchor") == anchor and element.text == "a label"


def test_nothing_is_the_background_and_what_is_read_aloud() -> None:
    assert pixels([], [], SIZE, 1).getcolors() == [(200 * 100, BACKGROUND)]
    tree = ElementTree.fromstring(svg([], [], SIZE, "A title", "What about"))
    assert [child.text for child in tree][:2] == ["A title", "What about"]
    assert tree.get("viewBox") == "0 0 200 100"


@pytest.mark.parametrize(
    "text", ["\x00\x08\x0b\x1f", "\ud800\udfff", "\ufffe\uffff", "<b>&amp;'\"", "\u72ac \u202e"]
)
def test_text_of_any_kind_is_valid_xml(text: str) -> None:
    label = Label(10, 50, text, 13)
    tree = ElementTree.fromstring(svg([], [label], SIZE, text, text).encode())
    found = tree.find(f"{NS}text")
    assert found is not None and len(str(found.text)) == len(text)
    assert {element.tag for element in tree.iter()} == {
        NS + n for n in ("svg", "title", "desc", "rect", "text")
    }
    pixels([], [label], SIZE, 1)


def test_an_area_lets_through_what_is_below_it() -> None:
    area = Area(((50, 20), (150, 20), (150, 80), (50, 80)), (0, 0, 0), 0.25)
    drawn = np.asarray(pixels([Line(((10, 50), (190, 50)), BLACK, 2)], [], SIZE, 1, [area])).astype(int)
    shade = np.array(BACKGROUND) * 0.75
    assert np.abs(drawn[30, 60:140] - shade).max() <= 1 and (drawn[10] == BACKGROUND).all()
    assert (drawn[49:51, 60:140] < 128).all(), "the line is above it"
    tree = ElementTree.fromstring(svg([], [], SIZE, "t", "a", [area]))
    (found,) = tree.iter(f"{NS}polygon")
    assert found.get("points") == "50.00,20.00 150.00,20.00 150.00,80.00 50.00,80.00"
    assert found.get("fill-opacity") == "0.25" and found.get("style") is None
