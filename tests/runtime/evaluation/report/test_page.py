"""The page: a sound document that loads nothing, for eyes, ears and paper; in Chromium where there is one."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from evaluated import METHODS, METRICS, evaluated, images

from fluxpath.runtime.evaluation.report.page import page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "</title><script>alert(1)</script>\"'<img src=x onerror=alert(2)>"
VOID = {"meta", "img", "br", "line", "circle", "polyline", "polygon", "rect"}


class Page(HTMLParser):
    """What is in a document, and whether its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.headings, self.words = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), self.open[-1] if self.open else ""))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), self.open[-1] if self.open else ""))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.words += data

    def of(self, tag):
        return [(attributes, inside) for name, attributes, inside in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(graph):
    """A report in which every name is hostile."""
    given = [(f"{EVIL}{i}", image, i % 4) for i, image in enumerate(images(8))]
    given.append((EVIL, np.full((1, 6, 6), np.nan, np.float32), 0))
    names = tuple(f"{EVIL}{k}" for k in range(4))
    return "".join(
        page(
            evaluated(
                graph("smooth", class_names=names),
                data=given,
                methods={f"{name} {EVIL}": method for name, method in METHODS.items()},
                metrics={f"{name} {EVIL}": metric for name, metric in METRICS.items()},
                photos=3,
            )
        )
    )


@pytest.fixture(scope="module")
def read(text):
    return Page(text)


def test_it_is_closed_and_in_order(read):
    assert read.open == [] and read.headings[0] == 1 and read.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(read.headings, read.headings[1:], strict=False))
    ((html, _),) = read.of("html")
    assert html["lang"] == "en" and len(read.of("title")) >= 1 and len(read.of("main")) == 1


def test_names_of_others_are_only_text(read, text):
    assert read.of("script") == [] and "onerror=alert(2)>" in read.words
    assert not any(
        name.startswith("on") or name == "style" for _, found, _ in read.elements for name in found
    )
    assert "<script" not in text


def test_nothing_is_loaded(read, text):
    for _, attributes, _ in read.elements:
        for name in ("src", "href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:image/", "#")), address
    assert not re.search(r"https?://", text)
    (policy,) = [a["content"] for a, _ in read.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_links_lead_somewhere(read):
    ids = [attributes["id"] for _, attributes, _ in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a, _ in read.of("a")} == {f"#{name}" for name in ids}


def test_pictures_and_tables_can_be_read_aloud(read):
    assert read.of("img") and all(attributes.get("alt") for attributes, _ in read.of("img"))
    assert len(read.of("caption")) == len(read.of("table")) > 5
    assert all(attributes["scope"] in ("col", "row") for attributes, _ in read.of("th"))
    for attributes, _ in read.of("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes.get("role") == "img"
    assert sum(inside == "svg" for _, inside in read.of("title")) == sum(
        attributes.get("role") == "img" for attributes, _ in read.of("svg")
    )


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_chromium_shows_it_without_a_complaint(browser, text, tmp_path, width):
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 800})
    shown = context.new_page()
    said = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("dialog", lambda dialog: said.append("a dialog"))
    shown.on("request", lambda r: said.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    shown.goto((tmp_path / "report.html").as_uri())
    assert said == []
    assert shown.evaluate("document.documentElement.scrollWidth") == width, "the page itself is too wide"
    assert shown.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
    assert shown.evaluate("getComputedStyle(document.body).marginTop") == "0px", "its style was not taken"
    context.close()
