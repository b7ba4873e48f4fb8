"""Curves with axes and a legend, as SVG and as a picture."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fluxpath.checks import need, whole
from fluxpath.runtime.pictures.figure import Area, Colour, Label, Line, Point, pixels, svg
from fluxpath.runtime.pictures.text import FAINT, length, shown, wrapped

# Okabe and Ito's colours, which readers with any cones tell apart, without the yellow, which is too pale for
# a line. Neighbours also have other dashes, for prints in grey.
COLOURS: tuple[Colour, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (0, 0, 0), (230, 159, 0), (86, 180, 233),
)  # fmt: skip
DASHES = ((), (9, 4), (2, 3), (9, 3, 2, 3))
GRID = (222, 223, 226)
TITLE, TEXT, PAD, SAMPLE = 16, 13, 12, 28
TINY = 1e-290  # no axis is shorter
MOST = 1e300  # values are below it
HIGHEST = 8192  # pixels, and the widest
LEGEND = TEXT + 8  # from one row of names to the next
Points: TypeAlias = npt.NDArray[np.float64]

LINE = TEXT + 6  # from one line of text to the next
NOTHING = np.empty((0, 2))
BAND = 0.13  # the opacity of an interval


@dataclass(frozen=True)
class Curves:
    """A drawing of curves, `width` x `height` pixels: `svg()` is its text, `png()` the picture.

    series: each curve's name and its x and y, real numbers [n] each; a NaN or an infinity breaks the line.
    bands: of any of the curves, by name, between which y its interval lies, low and high, real numbers [n].
    Raises InputError for no series, arrays that do not fit, no finite point, values beyond 1e300, and
    sizes that are not 160 to 8192 pixels.
    """

    series: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]]
    title: str
    x_label: str = ""
    y_label: str = ""
    width: int = 640
    height: int = 420
    bands: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]] = field(default_factory=dict)
    _drawn: tuple[list[Area], list[Line], list[Label]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole("width", self.width, 160, HIGHEST)
        whole("height", self.height, 160, HIGHEST)
        object.__setattr__(self, "_drawn", _laid_out(self))

    def svg(self) -> str:
        """A standalone SVG document: text stays text; the title and the names of curves are read aloud."""
        about = f"{self.y_label or 'y'} against {self.x_label or 'x'}: {', '.join(self.series)}"
        areas, lines, labels = self._drawn
        return svg(lines, labels, (self.width, self.height), self.title, about, areas)

    def png(self, scale: int = 2) -> Image.Image:
        """A PIL RGB picture of `scale` pixels for each of the drawing's, 1 to 4."""
        whole("scale", scale, 1, 4)
        areas, lines, labels = self._drawn
        return pixels(lines, labels, (self.width, self.height), scale, areas)


def curves(
    series: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    title: str,
    x_label: str = "",
    y_label: str = "",
) -> Curves:
    """Curves {name: (x, y)} with axes, a legend and a title (see `Curves`)."""
    return Curves(series, title, x_label, y_label)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At least two round numbers, evenly spaced by 1, 2 or 5 times a power of ten, about `most` of them.

    The first is at or below `low`, the last at or above `high`.
    """
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, TINY):
        room = largest / 2 if largest > TINY else 0.5
        low, high = low - room, high + room
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def _laid_out(figure: Curves) -> tuple[list[Area], list[Line], list[Label]]:
    """What is drawn, from the ground up, in the drawing's pixels."""
    data = {name: _checked(name, *pair) for name, pair in figure.series.items()}
    bands = _edges(figure)
    every_curve = [*data.values(), *(edge for pair in bands.values() for edge in pair)]
    finite = [points[np.isfinite(points).all(axis=1)] for points in every_curve]
    need(any(map(len, finite)), "curves need at least one point whose x and y are finite")
    every = np.concatenate(finite)
    least, greatest = every.min(axis=0).tolist(), every.max(axis=0).tolist()
    inside = all(abs(v) < MOST for v in (*least, *greatest))
    need(inside, "the values of curves must be below 1e300")

    width, legend = figure.width - 2 * PAD, _legend(list(data), figure.width)
    ground = figure.height - PAD - max(y for _, y in legend)
    bottom = ground - PAD - LINE - (LINE if figure.x_label else 0)
    top = 2 * PAD + TITLE + (LINE if figure.y_label else 0)
    up = ticks(least[1], greatest[1], max(1, min(6, (bottom - top) // 30)))
    left = PAD + 6 + math.ceil(max(length(text, TEXT) for text in _texts(up)))
    right = figure.width - 2 * PAD
    need(bottom - top >= 20 and right - left >= 20, "curves of so many names need more width or height")
    across = ticks(least[0], greatest[0], max(1, min(8, (right - left) // 60)))

    lines, labels = _axes(across, up, (left, top, right, bottom))
    labels.append(Label(PAD, PAD + TITLE, _fitting(figure.title, TITLE, width), TITLE))
    labels.append(Label(PAD, top - 10, _fitting(figure.y_label, TEXT, width), TEXT))
    below = _fitting(figure.x_label, TEXT, right - left)
    labels.append(Label((left + right) / 2, bottom + 2 * LINE, below, TEXT, anchor="middle"))
    place = partial(
        _placed, first=(across[0], up[0]), last=(across[-1], up[-1]), box=(left, top, right, bottom)
    )
    areas = []
    for k, ((name, points), (x, y)) in enumerate(zip(data.items(), legend, strict=True)):
        lower, upper = bands.get(name, (NOTHING, NOTHING))
        for low, high in zip(_runs(lower), _runs(upper), strict=True):
            around = [*map(place, low.tolist()), *map(place, high[::-1].tolist())]
            areas.append(Area(tuple(around), COLOURS[k % len(COLOURS)], BAND))
        style = (COLOURS[k % len(COLOURS)], 2, DASHES[k % len(DASHES)])
        lines += [Line(tuple(map(place, run.tolist())), *style) for run in _runs(points)]
        middle = ground + y - TEXT * 0.35
        lines.append(Line(((x, middle), (x + SAMPLE, middle)), *style))
        labels.append(Label(x + SAMPLE + 6, ground + y, _fitting(name, TEXT, width - SAMPLE - 6), TEXT))
    return areas, lines, [label for label in labels if label.text]


def _edges(figure: Curves) -> dict[str, tuple[Points, Points]]:
    """The lower and upper edge of each band, float64 [n, 2], broken at the same points."""
    edges = {}
    for name, (low, high) in figure.bands.items():
        need(name in figure.series, f"a band is of the curve {name!r}, which there is not")
        pair = [_checked(name, figure.series[name][0], edge) for edge in (low, high)]
        gaps = ~np.isfinite(np.concatenate(pair, axis=1)).all(axis=1)
        for edge in pair:
            edge[gaps] = np.nan
        edges[name] = (pair[0], pair[1])
    return edges


def _axes(
    across: list[float], up: list[float], box: tuple[int, int, int, int]
) -> tuple[list[Line], list[Label]]:
    """The grid, the axes and their numbers; the box is left, top, right, bottom."""
    left, top, right, bottom = box
    lines, labels = [], []
    for k, text in enumerate(_texts(up)):
        y = bottom - (bottom - top) * k / (len(up) - 1)
        lines.append(Line(((left, y), (right, y)), GRID, 1))
        labels.append(Label(left - 6, y + TEXT * 0.35, text, TEXT, FAINT, "end"))
    for k, text in enumerate(_texts(across)):
        x = left + (right - left) * k / (len(across) - 1)
        lines.append(Line(((x, bottom), (x, bottom + 4)), FAINT, 1))
        labels.append(Label(x, bottom + LINE, text, TEXT, FAINT, "middle"))
    lines.append(Line(((left, bottom), (right, bottom)), FAINT, 1))
    return lines, labels


def _placed(point: Point, first: Point, last: Point, box: tuple[int, int, int, int]) -> Point:
    """A point in the drawing's pixels, where `first` and `last` are the corners of the box."""
    left, top, right, bottom = box
    x, y = ((v - a) / (b - a) for v, a, b in zip(point, first, last, strict=True))
    return left + x * (right - left), bottom - y * (bottom - top)


def _checked(name: str, x: npt.ArrayLike, y: npt.ArrayLike) -> Points:
    """Points float64 [n, 2] of a curve."""
    pair = [np.asarray(values) for values in (x, y)]
    fits = all(v.ndim == 1 and v.dtype.kind in "biuf" for v in pair) and len(pair[0]) == len(pair[1])
    got = " and ".join(f"{v.dtype} {list(v.shape)}" for v in pair)
    need(fits, f"x and y of the curve {name!r} must be real numbers [n] of one length, got {got}")
    return np.stack([v.astype(np.float64) for v in pair], axis=1)


def _runs(points: Points) -> Iterator[Points]:
    """The parts of a curve [n, 2] between points that are not finite."""
    broken = np.flatnonzero(~np.isfinite(points).all(axis=1))
    for run in np.split(points, broken):
        kept = run[np.isfinite(run).all(axis=1)]
        if len(kept):
            yield kept


def _legend(names: list[str], width: int) -> list[tuple[float, int]]:
    """Where each name's sample begins, in rows from the left; y is from the top of the legend."""
    at: list[tuple[float, int]] = []
    x, y = float(PAD), TEXT
    for name in names:
        wide = SAMPLE + 6 + min(_room(name, TEXT), width - 2 * PAD - SAMPLE - 6)
        if x > PAD and x + wide > width - PAD:
            x, y = float(PAD), y + LEGEND
        at.append((x, y))
        x += wide + 2 * PAD
    return at


def _room(text: str, size: int) -> float:
    """The width that a text may need in any font, about."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return 1.1 * length(shown(text.replace("\n", " ")), size) + wide * size / 2


def _fitting(text: str, size: int, width: float) -> str:
    """A text in one line, shortened to a width; its letters stay, as an SVG's reader has other fonts."""
    line = " ".join(text.split())
    if _room(line, size) <= width:
        return line
    keep = len(wrapped(line, size, width / 1.1, 1)) - 1
    while keep and _room(line[:keep] + "…", size) > width:
        keep -= 1
    return line[:keep].rstrip() + "…"


def _texts(marks: list[float]) -> list[str]:
    """Numbers of an axis, with as many digits as tell them apart."""
    step, largest = marks[1] - marks[0], max(map(abs, marks))
    if step >= 1e-4 and largest < 1e6:
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return [f"{mark + 0.0:.{places}f}" for mark in marks]
    digits = max(1, math.ceil(math.log10(largest / step) - 1e-9) + 1)
    return [f"{mark + 0.0:.{digits}g}" for mark in marks]
