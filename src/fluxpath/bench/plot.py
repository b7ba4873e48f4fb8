"""A report as a picture: how long each side takes, in units of fluxpath's time."""

from __future__ import annotations

from typing import Any

from fluxpath.bench.sides import FLUXPATH, MEANINGS
from fluxpath.runtime.pictures.curves import COLOURS, GRID, LINE, PAD, TEXT, TITLE, ticks
from fluxpath.runtime.pictures.figure import Label, Line, svg
from fluxpath.runtime.pictures.text import FAINT

WIDTH, LEFT, RIGHT = 760, 190, 90
BAR, GAP = 10, 18
"""The height of a bar, and from one to the next."""


def plot(report: dict[str, Any]) -> str:
    """An SVG document: a group of bars for each row, each with its quartiles; fluxpath's is 1."""
    rows = [(row, _ratios(row)) for row in report["rows"]]
    most = max([1.0, *(r["quartile_3"] for _, ratios in rows for r in ratios.values())])
    marks = ticks(0.0, most, 6)
    top = 2 * PAD + TITLE + LINE
    bottom = top + sum(LINE + GAP * (1 + len(ratios)) + PAD for _, ratios in rows)

    def across(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ratio / marks[-1]

    title = f"Time over fluxpath's: {report['model']['file']}"
    lines = [Line(((across(m), top), (across(m), bottom)), FAINT if m == 1 else GRID, 1) for m in marks]
    lines.append(Line(((across(1), top), (across(1), bottom)), FAINT, 1))
    labels = [Label(PAD, PAD + TITLE, title, TITLE)]
    labels += [Label(across(m), bottom + LINE, f"{m:g}", TEXT, FAINT, "middle") for m in marks]
    y = float(top)
    for row, ratios in rows:
        y += LINE
        ours = row["sides"][FLUXPATH]
        labels.append(Label(PAD, y, f"{row['method']}, batch {row['batch']}: {_seconds(ours['p50'])}", TEXT))
        bars = {FLUXPATH: {"median": 1.0, "quartile_1": 1.0, "quartile_3": 1.0}} | ratios
        for side, ratio in bars.items():
            y += GAP
            colour, middle = COLOURS[list(MEANINGS).index(side) % len(COLOURS)], y - TEXT * 0.35
            lines.append(Line(((across(0), middle), (across(ratio["median"]), middle)), colour, BAR))
            spread = ((across(ratio["quartile_1"]), middle), (across(ratio["quartile_3"]), middle))
            lines.append(Line(spread, FAINT, 2))
            labels.append(Label(LEFT - 8, y, side, TEXT, anchor="end"))
            labels.append(Label(across(ratio["quartile_3"]) + 6, y, f"{ratio['median']:.2f}", TEXT, FAINT))
        y += PAD
    about = "; ".join(
        f"{row['method']}, batch {row['batch']}: "
        + ", ".join(f"{side} {ratio['median']:.2f}" for side, ratio in ratios.items())
        for row, ratios in rows
    )
    return svg(lines, labels, (WIDTH, int(bottom) + 2 * LINE), title, about or "fluxpath alone")


def _ratios(row: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {side: found["ratio"] for side, found in row["sides"].items() if "ratio" in found}


def _seconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
