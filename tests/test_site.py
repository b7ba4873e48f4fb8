"""docs/ is built into a site without a warning, and what its pages load and point to is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")

from markdown import markdown

import fluxpath
import fluxpath.export
import fluxpath.runtime
import fluxpath.runtime.metrics
import fluxpath.runtime.pictures

ROOT = Path(__file__).resolve().parents[1]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
"""What a browser fetches to show a page; a link is only followed."""


class _Page(HTMLParser):
    """The ids of a page, and what it points to: (tag, attribute, address)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.points: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.points += [(tag, name, given[name]) for name in ("href", "src") if name in given]


def missing(pages: dict[Path, _Page]) -> list[str]:
    """The addresses within `pages` that lead nowhere."""
    lost = []
    for path, page in pages.items():
        for _, _, address in page.points:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = target in pages and (not parts.fragment or unquote(parts.fragment) in pages[target].ids)
            if not known and (target in pages or not target.exists()):
                lost.append(f"{path.name}: {address}")
    return lost


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, _Page]:
    folder = tmp_path_factory.mktemp("site").resolve()
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr  # --quiet would leave out warnings, and then not fail for them
    assert (done.returncode, "WARNING" in said) == (0, False), said
    return {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}


def test_every_page_is_built(site: dict[Path, _Page]) -> None:
    built = {path.name for path in site}
    assert {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.md")} <= built


def test_every_link_leads_somewhere(site: dict[Path, _Page]) -> None:
    # The page for addresses that there are not has links from the root of whatever server.
    assert missing({path: page for path, page in site.items() if path.name != "404.html"}) == []


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, _Page]) -> None:
    loaded = {
        address for page in site.values() for tag, name, address in page.points if (tag, name) in LOADED
    }
    assert loaded and not {address for address in loaded if urlsplit(address).netloc}
    styles = "".join(path.read_text() for path in next(iter(site)).parent.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles)


def test_every_public_name_is_in_the_reference(site: dict[Path, _Page]) -> None:
    (page,) = (page for path, page in site.items() if path.name == "api.html")
    named = {address.rpartition(".")[2] for address in page.ids}
    runtime = (fluxpath.runtime, fluxpath.runtime.metrics, fluxpath.runtime.pictures)
    modules = (fluxpath, *runtime, fluxpath.export)
    public = {name for module in modules for name in module.__all__ if callable(getattr(module, name))}
    assert public - named == set()


def test_the_reference_shows_signatures_as_they_are_and_parameters_as_lists(site: dict[Path, _Page]) -> None:
    """Settings that a method inherits, options that stand for fields, constants by their values; `*shape`."""
    (path,) = (path for path in site if path.name == "api.html")
    text = site[path].text
    assert 'step_size: float | Literal["auto"] | None = "auto",\n' in text
    assert 'objective: str = "softmax",\n' in text and "Unpack" not in text
    assert "DEFAULT_SLOTS" not in text and text.count("slots: int | Literal[") == 2
    assert "float32 [n, *shape]" in text
    assert "<li><code>slots</code>: how many lanes" in path.read_text(encoding="utf-8")


def test_links_of_the_readmes_lead_somewhere() -> None:
    """They are read where they lie, as are the pages that they link to."""
    extensions = ["toc", "tables", "fenced_code"]
    readmes = [ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
    pages = {
        path: _Page(markdown(path.read_text(encoding="utf-8"), extensions=extensions))
        for path in (*readmes, *(ROOT / "docs").glob("*.md"))
    }
    for path in pages.keys() - readmes:
        pages[path].points.clear()  # the site's
    assert missing(pages) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    page = _Page('<h1 id="a"></h1><a href="#a"><a href="#b"><a href="none.html"><img src="picture.png">')
    assert missing({tmp_path / "x.html": page}) == ["x.html: #b", "x.html: none.html"]
