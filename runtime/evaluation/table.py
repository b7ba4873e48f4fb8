"""The summary of an evaluation as text."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from fluxpath.text import counted, visible

if TYPE_CHECKING:
    from fluxpath.runtime.evaluation.evaluation import Evaluation
    from fluxpath.runtime.evaluation.statistics import Interval

BEST = "*"
# Columns of metrics in one table: more do not fit a terminal.
ACROSS = 5
# Of the sentences below it.
WIDTH = 100


def text_table(found: Evaluation) -> str:
    """A row for each method, a column for each metric: the mean with half its interval's width.

    The mark means: in the best group, of several methods. More metrics than fit are in further tables below.
    """
    parts = []
    for at in range(0, len(found.metrics), ACROSS):
        parts.append(_part(found, found.metrics[at : at + ACROSS], last=at + ACROSS >= len(found.metrics)))
    return "\n\n".join([*parts, *notes(found)])


def _part(found: Evaluation, metrics: list[str], last: bool) -> str:
    standing = {metric: {each.name: each for each in found.standings(metric)} for metric in metrics}
    head = ["method", *(f"{metric} ({arrow(found, metric)})" for metric in metrics)]
    several = len(found.methods) > 1
    rows = [head + (["images/s", "gradients"] if last else [])]
    for method in found.methods:
        row = [method]
        for metric in metrics:
            each = standing[metric][method]
            row.append(f"{short(each.mean)} {BEST if several and each.group == 1 else ' '}")
        if last:
            row += [f"{rate(found, method):.3g}", f"{gradients(found, method):.3g}"]
        rows.append(row)
    return aligned(rows)


def notes(found: Evaluation) -> list[str]:
    """What the table means, in sentences."""
    said = f"Means are over {counted(len(found), 'image')}; +- is half of the mean's 95% interval."
    if len(found.methods) > 1:
        said = (
            f"{BEST} in the best group: no method does better beyond noise. Methods are compared in pairs, "
            "each pair over the images on which both of it are defined (paired bootstrap, 95% for all pairs "
            f"of a metric together). {said}"
        )
    for metric in found.metrics:
        means = [each.mean for each in found.standings(metric)]
        counts, infinite = {each.count for each in means}, sum(each.infinite for each in means)
        if len(counts) > 1:
            said += f" Means of {visible(metric)} are over {min(counts)} to {max(counts)} images."
        if infinite:
            said += f" Means of {visible(metric)} are without {counted(infinite, 'infinite value')}."
    if found.labelled:
        images = counted(found.labelled, "image")
        said += f" The model is right on {found.accuracy:.1%} of {images} with a label."
    return [textwrap.fill(said, WIDTH)]


def arrow(found: Evaluation, metric: str) -> str:
    """Whether more is better."""
    return found.plan.metrics[metric].better


def short(mean: Interval) -> str:
    """A mean with half the width of its interval, as many digits as that has two."""
    if math.isnan(mean.mean):
        return "-"
    half = (mean.high - mean.low) / 2
    if math.isnan(half):
        return f"{mean.mean:.4g}"
    return f"{number(mean.mean, half)} +-{number(half, half)}"


def number(value: float, half: float) -> str:
    """A value with as many decimals as show two digits of `half`."""
    if not math.isfinite(value):
        return str(value)
    if half <= 0 or not math.isfinite(half):
        return f"{value:.4g}"
    places = 1 - math.floor(math.log10(half))
    return f"{value:.{places}f}" if 0 <= places <= 6 else f"{value:.3g}"


def rate(found: Evaluation, method: str) -> float:
    """Images explained in a second."""
    seconds = found.spent.explaining.get(method, 0.0)
    return len(found) / seconds if seconds else math.nan


def gradients(found: Evaluation, method: str) -> float:
    """Evaluations of the gradient graph for each image."""
    return found.spent.gradients.get(method, 0) / len(found)


def aligned(rows: list[list[str]]) -> str:
    """Rows of text as columns, names to the left and numbers to the right; the first row is the header."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))]
    lines = [
        "  ".join(
            c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)
