"""The tests mirror the runtime, and what the pages link to is there, also in a source distribution."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_every_module_of_the_runtime_has_a_test_file_of_its_name():
    modules = [path for path in (ROOT / "runtime").rglob("*.py") if path.name != "__init__.py"]
    assert len(modules) > 50, "else they were looked for in the wrong place"
    wanted = (
        path.relative_to(ROOT).with_name(f"test_{path.name.removeprefix('_')}") for path in sorted(modules)
    )
    assert [str(path) for path in wanted if not (ROOT / "tests" / path).is_file()] == []


def test_what_the_pages_link_to_is_in_a_source_distribution():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    left_out = [ROOT / entry.strip("/") for entry in settings["tool"]["scikit-build"]["sdist"]["exclude"]]
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("this is not a checkout")
    pages = [ROOT / name for name in listed.stdout.splitlines()]
    links = [
        (page, (page.parent / link).resolve())
        for page in pages
        if not any(page.is_relative_to(folder) for folder in left_out)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 5, "else they were looked for in the wrong way"
    assert [
        (page.name, str(target))
        for page, target in links
        if not target.exists() or any(target.is_relative_to(folder) for folder in left_out)
    ] == []
