"""The parts of the page, from what was found to on what it was computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fluxpath.runtime.evaluation import machine
from fluxpath.runtime.evaluation.noise import Random
from fluxpath.runtime.evaluation.report.figures import curve_figures, extent, whisker
from fluxpath.runtime.evaluation.report.words import (
    MISSING,
    bounds,
    figure,
    half,
    listed,
    mean,
    of_images,
    seconds,
    table,
    text,
)
from fluxpath.runtime.evaluation.saving import settings
from fluxpath.runtime.evaluation.statistics import Standing, best_group, shared
from fluxpath.runtime.evaluation.table import arrow, gradients, rate
from fluxpath.text import counted

if TYPE_CHECKING:
    from fluxpath.runtime.evaluation.evaluation import Evaluation

# Columns of metrics in one table: more do not fit a page of paper.
ACROSS = 5
# Images that are named because they could not be read.
MOST_NAMED = 100
READING = """
<p>Every method explains the same images, and every metric measures every attribution. An interval says
where the mean would lie for other images of this kind: it is a bootstrap over images, widened for few of
them as Student's t is.</p>
<p>Methods are compared pair by pair, over the images on which both have a value: means over different
images say nothing of who is better. Group 1 are the methods that no other beats beyond noise; group 2 are
those that only methods of group 1 beat, and so on. In each metric the level of these intervals is raised for
the number of pairs, so that in one metric, with about 95%, no two methods that are equal are told apart.
Within a group there is no winner: the order of its methods is noise.</p>
<p>A mean leaves infinite values out and says how many there are. In a pair an infinite value counts as
beyond every finite one of the two methods, by as much as these are apart.</p>
<p>Bands around curves are 95% intervals of the mean at each point.</p>
"""
BEST = '<span class="best">{}<span class="hidden"> (best group)</span></span>'


def found_in_short(found: Evaluation) -> str:
    """The best group of each metric in a sentence, and what else a reader must know first."""
    items = [f"<li>{_sentence(found, metric)}</li>" for metric in found.metrics]
    facts = [f"{counted(len(found), 'image')} by {counted(len(found.methods), 'method')}"]
    if found.labelled:
        facts.append(
            f"the model is right on {found.accuracy:.1%} of {counted(found.labelled, 'image')} with a label"
        )
    facts.append(f"explained is the {text(found.plan.target)} class")
    if found.left_out:
        facts.append(f"{counted(found.left_out, 'image')} left out")
    if found.failures:
        facts.append(f"{counted(len(found.failures), 'image')} could not be read (see below)")
    note = f"<p>{text(_capital(found.about['note']))}.</p>" if found.about.get("note") else ""
    return f'<p>{text(_capital("; ".join(facts)))}.</p>{note}<ul class="found">{"".join(items)}</ul>'


def _sentence(found: Evaluation, metric: str) -> str:
    """Which methods lead in a metric, without a winner within noise."""
    standings = found.standings(metric)
    best, ranked = best_group(standings), [each.name for each in standings if each.group]
    said = f"<b>{text(_capital(metric))}</b> ({arrow(found, metric)} is better): "
    chance = [n for n, method in found.plan.methods.items() if isinstance(method, Random) and n in best]
    if not best:
        return said + "not defined on these images."
    if len(found.methods) == 1:
        return said + f"{listed(best)} is the only method."
    if len(ranked) == 1:
        return said + f"{listed(best)} is the only one it is defined for."
    said += _defined(found, metric, ranked)
    if len(best) == 1:
        return said + f"{listed(best)} is the best, beyond noise."
    if chance:
        return said + (
            f"{listed(best)} cannot be told apart, chance among them: on these images this metric does not "
            "show that any of them explains."
        )
    if len(best) == len(ranked):
        return said + f"none of the methods can be told apart: {listed(best)}."
    return said + f"{listed(best)} lead, and cannot be told apart."


def _defined(found: Evaluation, metric: str, ranked: list[str]) -> str:
    """For which methods the metric is not defined, and on how few images pairs are compared, if not all."""
    missing = [name for name in found.methods if name not in ranked]
    said = f"not defined for {listed(missing)}; " if missing else ""
    pairs = shared(found.values(metric))
    if pairs[0] == len(found):
        return said
    over = f"{pairs[0]:,}" if pairs[0] == pairs[-1] else f"{pairs[0]:,} to {pairs[-1]:,}"
    return said + f"over the {over} of {counted(len(found), 'image')} on which both of a pair are defined, "


def summary_tables(found: Evaluation) -> str:
    """Means by method and metric, at most ACROSS metrics in a table."""
    tables = []
    for at in range(0, len(found.metrics), ACROSS):
        metrics = found.metrics[at : at + ACROSS]
        by_name = {metric: {each.name: each for each in found.standings(metric)} for metric in metrics}
        head = ["Method", *(f"{text(m)}<small>{arrow(found, m)} is better</small>" for m in metrics)]
        rows = [
            [text(name), *(_cell(by_name[m][name], len(found)) for m in metrics)] for name in found.methods
        ]
        part = "" if len(found.metrics) <= ACROSS else f", part {at // ACROSS + 1}"
        tables.append(
            table(f"Mean of each metric over the images, \u00b1 half its 95% interval{part}", head, rows)
        )
    return "".join(tables)


def _cell(each: Standing, whole: int) -> str:
    width = half(each.mean)
    shown = mean(each.mean) + ("" if math.isnan(width) else f" <small>\u00b1 {figure(width, width)}</small>")
    shown += of_images(each.mean, whole)
    return BEST.format(shown) if each.group == 1 else shown


def metric_section(found: Evaluation, metric: str) -> str:
    """One metric: its methods from best to worst, differences from the best, and curves."""
    ranked = found.standings(metric)
    reach = extent([each.mean for each in ranked])
    chance = next((e.mean.mean for e in ranked if isinstance(found.plan.methods[e.name], Random)), math.nan)
    scale = (
        ""
        if reach is None
        else f"{figure(reach[0], reach[1] - reach[0])} to {figure(reach[1], reach[1] - reach[0])}"
    )
    guide = ", broken line: random" if math.isfinite(chance) else ""
    head = ["Method", "Mean", "95% interval", f"<small>{scale}{guide}</small>", "Difference from the best",
            "its interval", "Group"]  # fmt: skip
    rows = []
    for each in ranked:
        shown = mean(each.mean) + of_images(each.mean, len(found))
        row = [text(each.name), BEST.format(shown) if each.group == 1 else shown]
        row += [bounds(each.mean), whisker(each.mean, reach, each.group == 1, chance)]
        row += (
            [MISSING, MISSING]
            if each.difference is None
            else [
                mean(each.difference) + of_images(each.difference, len(found)),
                bounds(each.difference),
            ]
        )
        rows.append([*row, str(each.group) if each.group else MISSING])
    counts = sorted({each.mean.count for each in ranked})
    over = counted(counts[0], "image") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} images"
    about = (
        f"{text(_capital(metric))}, {arrow(found, metric)} is better: methods from best to worst, over {over}"
    )
    drawn = curve_figures(metric, found.curves.get(metric, {}))
    curves = f'<div class="curves">{"".join(f"<div>{each}</div>" for each in drawn)}</div>' if drawn else ""
    return (
        f'<h3>{text(_capital(metric))}</h3>\n<p class="note">{_meaning(found, metric)}</p>\n'
        f"{table(about, head, rows)}{curves}\n"
    )


def _meaning(found: Evaluation, metric: str) -> str:
    """The first sentence of the metric's own definition, and its settings."""
    given = found.plan.metrics[metric]
    first = " ".join((type(given).__doc__ or "").strip().split("\n\n")[0].split())
    own = "" if first.startswith(f"{type(given).__name__}(") else text(first)
    return f"{own} <code>{text(repr(given))}</code>"


def photo_section(found: Evaluation) -> str:
    """The grid of photos by methods."""
    parts = []
    for photo in found.photos:
        cells = [_photo(photo.photo, f"the photo {photo.name}", "photo")]
        cells += [
            _photo(uri, f"what decided that {photo.name} is {photo.caption}, by {method}", method)
            for method, uri in photo.overlays.items()
        ]
        parts.append(
            f'<h3>{text(photo.name)}: {text(photo.caption)}</h3>\n<ul class="strip">{"".join(cells)}</ul>\n'
        )
    about = (
        "The regions that speak for the explained class, over the photo in grey; each picture has its own "
        "scale, so colours compare within a picture, not between methods."
        if found.plan.drawing.polarity == "positive"
        else "Evidence over the photo; each picture has its own scale."
    )
    return f'<p class="note">{about}</p>\n{"".join(parts)}'


def _photo(uri: str, alternative: str, caption: str) -> str:
    return (
        f'<li><figure><img alt="{text(alternative)}" src="{uri}"><figcaption>{text(caption)}'
        "</figcaption></figure></li>"
    )


def cost_section(found: Evaluation) -> str:
    """What methods and metrics cost, and where the time went."""
    spent = found.spent
    methods = [
        [text(name), _rounded(rate(found, name)), _rounded(gradients(found, name)),
         text(seconds(spent.explaining.get(name, 0.0)))] for name in found.methods
    ]  # fmt: skip
    metrics = [
        [text(name), f"{spent.cost[name][0]:,}", f"{spent.cost[name][1]:,}"]
        for name in found.metrics
        if name in spent.cost
    ]
    whole = spent.seconds.get("all", 0.0)
    words = (
        f"<p>{text(_capital(seconds(whole)))} in all, {text(seconds(whole / len(found)))} for each image; "
        f"{spent.share_of_model:.0%} of it inside the model, explaining or evaluating. Metrics evaluated the "
        f"forward model {spent.evaluations:,} times"
        + (f" and explained {spent.explanations:,} neighbours" if spent.explanations else "")
        + ".</p>\n"
    )
    head = ["Method", "Images/s", "Gradient evaluations<small>for each image</small>", "Time"]
    per = ["Metric", "Model evaluations<small>for each image and method</small>",
           "Neighbours explained<small>for each image and method</small>"]  # fmt: skip
    return (
        words
        + table("What methods cost", head, methods)
        + table("What metrics cost, parts included", per, metrics)
    )


def settings_section(found: Evaluation) -> str:
    """Everything that was asked for."""
    asked = settings(found)
    rows = [[f"method {text(n)}", f"<code>{text(each)}</code>"] for n, each in asked["methods"].items()]
    rows += [[f"metric {text(n)}", f"<code>{text(each)}</code>"] for n, each in asked["metrics"].items()]
    rows += [
        [text(n), text("none" if v is None else v)]
        for n, v in asked.items()
        if n not in ("methods", "metrics")
    ]
    return table("Settings of the run", ["Setting", "Value"], rows, "words")


def provenance_section(found: Evaluation) -> str:
    """Model, data, versions, machine."""
    told = {
        "data": found.about["data"],
        "model file": found.about.get("model", ""),
        "SHA-256": found.about.get("sha256", ""),
    }
    rows = {
        **told,
        **{f"model: {n}": v for n, v in machine.model(found.manifest).items()},
        **found.machine,
        **found.versions,
    }
    cells = [[text(name), text(value)] for name, value in rows.items() if value]
    return table(
        "Model, data, versions and machine",
        ["What", "Which"],
        [*cells, ["written", text(found.date)]],
        "words",
    )


def failures_section(found: Evaluation) -> str:
    """The images that could not be read."""
    rows = [[text(name), text(why)] for name, why in list(found.failures.items())[:MOST_NAMED]]
    more = len(found.failures) - len(rows)
    rest = f"<p>And {counted(more, 'more')[: -1 if more != 1 else None]}.</p>" if more else ""
    return table("Images that could not be read", ["Image", "Why"], rows, "words") + rest


def reading_section() -> str:
    """How the numbers were made."""
    return READING


def _rounded(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
