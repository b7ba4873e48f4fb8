"""The drawings of the page, as SVG in its text: means with their intervals, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.evaluation.statistics import Interval
from fluxpath.runtime.pictures import Curves
from fluxpath.runtime.pictures.curves import HIGHEST, LEGEND, MOST

if TYPE_CHECKING:
    from fluxpath.runtime.evaluation.evaluation import Curve

WIDTH, HEIGHT, PAD = 200, 22, 8
CURVE = (420, 340)  # small, so that its letters can be read where the page is narrow
NAMES = 4  # so many rows of names leave room for the curves; more make the drawing higher


def extent(means: Sequence[Interval]) -> tuple[float, float] | None:
    """The least and the greatest that intervals reach; None if no mean is finite."""
    reached = [v for each in means for v in (each.mean, each.low, each.high) if math.isfinite(v)]
    return (min(reached), max(reached)) if reached else None


def whisker(found: Interval, reach: tuple[float, float] | None, best: bool, guide: float = math.nan) -> str:
    """A mean as a dot on its interval, from the least to the greatest that the table reaches.

    best: a full dot, others are hollow. guide: where a broken line stands, as at chance. What it shows
    stands in numbers beside it, so readers of screens pass it over.
    """
    if reach is None or not math.isfinite(found.mean):
        return ""
    width = reach[1] - reach[0]

    def place(value: float) -> float:
        return PAD + (WIDTH - 2 * PAD) * ((value - reach[0]) / width if width > 0 else 0.5)

    middle = HEIGHT / 2
    parts = [f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{middle}" y2="{middle}" stroke="#e4e6ea"/>']
    if math.isfinite(guide):
        x = place(guide)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}" stroke="#8a8f98" stroke-dasharray="3 3"/>'
        )
    colour = "#0b5cad" if best else "#5c6068"
    if math.isfinite(found.low):
        ends = place(found.low), place(found.high)
        parts.append(
            f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{middle}" y2="{middle}" stroke="{colour}" '
            'stroke-width="2.5"/>'
        )
    parts.append(
        f'<circle cx="{place(found.mean):.1f}" cy="{middle}" r="4.5" fill="{colour if best else "#fff"}" '
        f'stroke="{colour}" stroke-width="2"/>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def curve_figures(metric: str, methods: Mapping[str, Mapping[str, Curve]]) -> list[str]:
    """One drawing for each curve of a metric, with a line and its interval for each method.

    They are drawn against the metric's first curve; one without another is not drawn, nor are curves that
    do not fit the first one, or cannot be drawn: the page is written without them.
    """
    names = dict.fromkeys(name for curves in methods.values() for name in curves)
    across = next((name for name in names if _is_first(name, methods)), None)
    if across is None:
        return []
    drawn = []
    for name in names:
        series, bands = {}, {}
        for method, curves in methods.items():
            if name == across or across not in curves or name not in curves:
                continue
            first, curve = curves[across], curves[name]
            if _can_be_drawn(first.mean, curve.mean):
                series[method] = first.mean, curve.mean
                if _can_be_drawn(first.mean, curve.low) and _can_be_drawn(first.mean, curve.high):
                    bands[method] = curve.low, curve.high
        if series:
            height = min(CURVE[1] + LEGEND * max(0, len(series) - NAMES), HIGHEST)
            figure = Curves(series, f"{metric}: {name}", across, name, CURVE[0], height, bands)
            drawn.append(figure.svg().replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))
    return drawn


def _is_first(name: str, methods: Mapping[str, Mapping[str, Curve]]) -> bool:
    """Whether no method has a curve before it: a method lacks those of which it has no finite one."""
    return all(next(iter(curves)) == name for curves in methods.values() if name in curves)


def _can_be_drawn(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> bool:
    """Whether `Curves` takes them: of one length, with a finite point, and nothing too large."""
    if x.ndim != 1 or x.shape != y.shape:
        return False
    points = np.abs(np.stack([x, y]))
    points = points[:, np.isfinite(points).all(axis=0)]
    return bool(points.size and points.max() < MOST)
