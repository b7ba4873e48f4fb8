"""Puts the page together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fluxpath.runtime.evaluation.report import sections
from fluxpath.runtime.evaluation.report.style import POLICY, STYLE
from fluxpath.runtime.evaluation.report.words import text
from fluxpath.text import counted

if TYPE_CHECKING:
    from fluxpath.runtime.evaluation.evaluation import Evaluation


def page(found: Evaluation) -> Iterator[str]:
    """The parts of one HTML document that loads nothing: no script, pictures inside it."""
    title = f"{counted(len(found.methods), 'explanation method')} on {counted(len(found), 'image')}"
    model = found.about.get("model") or found.manifest.source
    parts = list(_parts(found))
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="generator" content="fluxpath">\n'
        f"<title>{text(title)}: {text(model)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading, _ in parts)
    yield (
        f"<header>\n<h1>{text(title)}</h1>\n"
        f'<p class="lead">Model {text(model)}, data {text(found.about["data"])}, {text(found.date)}</p>\n'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n</header>\n<main>\n'
    )
    for name, heading, content in parts:
        yield f'<section aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n'
        yield from content
        yield "</section>\n"
    yield "</main>\n<footer><p>Made by <code>fluxpath evaluate</code>.</p></footer>\n</body>\n</html>\n"


def _parts(found: Evaluation) -> Iterator[tuple[str, str, Iterator[str]]]:
    """An id, a heading and the content of each section."""
    yield "short", "In short", iter([sections.found_in_short(found), sections.summary_tables(found)])
    yield "metrics", "Metric by metric", (sections.metric_section(found, metric) for metric in found.metrics)
    if found.photos:
        yield "photos", "Photos", iter([sections.photo_section(found)])
    yield "reading", "How to read this", iter([sections.reading_section()])
    yield "cost", "What it cost", iter([sections.cost_section(found)])
    if found.failures:
        yield "unread", "Images that could not be read", iter([sections.failures_section(found)])
    yield "settings", "Settings", iter([sections.settings_section(found)])
    yield "provenance", "Provenance", iter([sections.provenance_section(found)])
