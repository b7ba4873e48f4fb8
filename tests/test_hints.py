"""Each "pip install" that a message or a page gives names extras that there are and bring what lacks."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
HINT = re.compile(r"(?:fluxpath|\.)\[([\w, -]+)\]")
FOLDERS = ("src/fluxpath", "runtime", "export", "kernels", "benchmarks")


def names_of(extra: str) -> set[str]:
    """The packages that an extra brings, with those of the extras that it includes."""
    found: set[str] = set()
    for requirement in EXTRAS[extra]:
        name, extras = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", requirement).groups()  # type: ignore[union-attr]
        if name == "fluxpath":
            found |= set().union(*(names_of(other) for other in extras.split(",")))
        else:
            found.add(name.lower())
    return found


def messages(source: str) -> Iterator[str]:
    """The texts in Python code, those of f-strings with their gaps as "{}"."""
    parts: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


HINTS = [
    (path.relative_to(ROOT).as_posix(), text)
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    for text in messages(path.read_text(encoding="utf-8"))
    if HINT.search(text)
]


def unknown(text: str) -> set[str]:
    """The extras that a text names and that there are not."""
    return {e.strip() for found in HINT.findall(text) for e in found.split(",")} - EXTRAS.keys()


@pytest.mark.parametrize(("path", "text"), HINTS, ids=[path for path, _ in HINTS])
def test_a_message_names_an_extra_that_brings_what_it_says_is_missing(path: str, text: str) -> None:
    assert unknown(text) == set()
    missing = text.partition("pip install")[0].lower()
    for extra in re.split(r", ?", ",".join(HINT.findall(text))):
        brought = names_of(extra)
        parts = {
            part for name in brought for part in (name, name.removesuffix("-gpu"), name.rpartition("-")[2])
        }
        assert any(re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", missing) for part in parts), extra


def test_the_messages_are_found() -> None:
    assert len(HINTS) > 8
    assert {path.partition("/")[0] for path, _ in HINTS} >= {"src", "runtime", "export", "kernels"}


@pytest.mark.parametrize(
    "page", ["README.md", "benchmarks/README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "docs"]
)
def test_pages_name_extras_that_there_are(page: str) -> None:
    path = ROOT / page
    for file in [path] if path.is_file() else path.glob("*.md"):
        commands = re.findall(r"pip install .*|fluxpath\[.*|-e \"\.\[.*", file.read_text(encoding="utf-8"))
        assert [(file.name, text) for text in commands if unknown(text)] == []


def test_every_extra_is_in_the_table_for_users() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "getting-started.md").read_text(), re.MULTILINE)
    for_developers = {"test", "bench", "docs"}
    assert set(EXTRAS) - set(rows) == for_developers


def test_a_wrong_extra_is_seen() -> None:
    assert unknown('pip install "fluxpath[gpu,cpu]"') == {"gpu"}
    assert list(messages('f"needs {x}: " "pip"')) == ["needs {}: pip"]
    assert "onnx" in names_of("demo") and "pyarrow" in names_of("test")
