"""Text and numbers in a page."""

from __future__ import annotations

import math
from html import escape

from fluxpath.runtime.evaluation.statistics import Interval
from fluxpath.runtime.evaluation.table import number
from fluxpath.text import counted, visible

MINUS, MISSING = "\u2212", "\u2013"


def text(words: object) -> str:
    """Any text as HTML shows it: marks are escaped, and characters that would be obeyed are visible."""
    return escape(visible(words), quote=True)


def figure(value: float, like: float) -> str:
    """A number with as many decimals as show two digits of `like`."""
    return MISSING if math.isnan(value) else text(number(value, like)).replace("-", MINUS)


def half(found: Interval) -> float:
    """Half the width of an interval; NaN without one."""
    return (found.high - found.low) / 2


def mean(found: Interval) -> str:
    """A mean as HTML, without its interval."""
    return figure(found.mean, half(found))


def of_images(found: Interval, whole: int) -> str:
    """Over how many of so many images it is, and how many of these have an infinite value, as HTML.

    "" if it is over all, and none has.
    """
    over = [f"over {counted(found.count, 'image')}"] if 0 < found.count < whole else []
    said = [*over, f"{found.infinite} infinite"] if found.infinite else over
    return f" <small>{', '.join(said)}</small>" if said else ""


def bounds(found: Interval) -> str:
    """An interval as HTML, "low to high"."""
    if math.isnan(found.low):
        return MISSING
    return f"{figure(found.low, half(found))} to {figure(found.high, half(found))}"


def listed(names: list[str]) -> str:
    """Names as HTML: "a, b and c"."""
    shown = [f"<b>{text(name)}</b>" for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def seconds(value: float) -> str:
    """A time in words."""
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    whole = round(value / 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60} min"


def table(caption: str, head: list[str], rows: list[list[str]], name: str = "") -> str:
    """A table whose cells are HTML; the first cell of each row names it. name: a class for its looks."""
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>\n'
        for row in rows
    )
    kind = f' class="{name}"' if name else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption_text(caption)}"><table{kind}>'
        f"<caption>{caption}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def caption_text(caption: str) -> str:
    """A caption without its marks, for an attribute."""
    plain, inside = "", False
    for letter in caption:
        inside = letter == "<" or (inside and letter != ">")
        plain += "" if inside or letter == ">" else letter
    return plain
